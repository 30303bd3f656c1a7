from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import numpy as np
import polars as pl
import pytest
from markupsafe import escape as html_escape

from aimass.core.artifacts import Artifact
from aimass.core.deps import Deps
from aimass.core.errors import EmptyDataError, TargetError
from aimass.core.exploration.page import DETAILED_COLUMNS
from aimass.core.exploration.profile import Exploration
from aimass.core.stages.explore import STAGE, ExploreResult
from aimass.core.testing.datasets import publish_rows
from aimass.core.texts import speaking

EVIL = "<img src=x onerror=alert(1)>"
RNG = np.random.default_rng(5)
TAGS = {"y": {"role": "target"}, "id": {"role": "id"}, "when": {"role": "time"}}
VOID = {"meta", "br", "img", "hr"}


def rows(count: int = 400) -> pl.DataFrame:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "id": range(count),
            "when": [start + timedelta(hours=i) for i in range(count)],
            "day": [date(2024, 1, 1) + timedelta(days=i % 30) for i in range(count)],
            "took": [timedelta(minutes=i % 90) for i in range(count)],
            "number": RNG.normal(size=count),
            "wild": [math.nan, math.inf, -math.inf, None] * (count // 4),
            "city": RNG.choice(["北京", "上海", EVIL], count),
            "empty": pl.Series([None] * count, dtype=pl.Float64),
            "blank": pl.Series([None] * count, dtype=pl.String),
            "constant": ["same"] * count,
            "list": [[1, 2]] * count,
            "decimal": pl.Series(range(count)).cast(pl.Decimal(10, 2)),
            "huge": ["z" * 1_000_000 if i == 0 else "short" for i in range(count)],
            EVIL: RNG.integers(0, 3, count),
            "y": RNG.random(count) < 0.4,
        }
    )


@pytest.fixture
def explore(deps: Deps) -> Callable[..., ExploreResult]:
    def run(frame: pl.DataFrame, tags: dict[str, Any] = TAGS, **others: pl.DataFrame) -> ExploreResult:
        uri = publish_rows(deps, {"train": frame, **others}, tags=tags)
        return STAGE.run(STAGE.parse({"dataset": uri}), deps)

    return run


def read(result: ExploreResult, deps: Deps) -> tuple[Exploration, str]:
    artifact = Artifact(result.uri, deps)
    document = Exploration.model_validate_json(artifact.read_bytes("exploration.json"))
    return document, artifact.read_bytes("report.html").decode()


class Page(HTMLParser):
    """Checks that tags are balanced and nothing is loaded or run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        names = {name for name, _ in attrs}
        assert not any(name.startswith("on") for name in names), (tag, attrs)
        assert "src" not in names, (tag, attrs)
        links = [value or "" for name, value in attrs if name == "href"]
        assert all(re.fullmatch(r"#c\d+|report(\.zh)?\.html", link) for link in links), links
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_awkward_columns_are_described_and_escaped(explore: Callable[..., ExploreResult], deps: Deps) -> None:
    found, html = read(explore(rows()), deps)
    kinds = {column.name: column.kind for column in found.columns}
    assert kinds["took"] == kinds["day"] == kinds["when"] == "temporal"
    assert kinds["list"] == "other"
    assert kinds["decimal"] == "numeric"
    wild = found.column("wild")
    assert wild is not None
    assert (wild.missing, wild.nan, wild.infinite, wild.histogram) == (100, 100, 200, None)
    assert {finding.code for finding in found.findings if finding.column == "empty"} == {"empty"}
    assert {finding.code for finding in found.findings if finding.column == "constant"} == {"constant"}
    page = Page(html)
    assert page.open == []
    assert not page.seen & {"img", "script", "link", "iframe"}
    assert "北京" in html
    assert "2024-01-01" in html
    assert len(html) < 200_000
    assert "http://" not in html
    assert "https://" not in html


def test_documents_are_english_and_hold_what_the_chinese_page_says(
    explore: Callable[..., ExploreResult], deps: Deps
) -> None:
    result = explore(rows().with_columns(leak=pl.col("y").cast(pl.Float64)))
    found, _ = read(result, deps)
    assert found.findings[0].code == "leakage"
    assert all(finding.text == str(finding.said) for finding in found.findings)
    assert all(suspect.evidence == str(suspect.said) for suspect in found.leakage)
    html = Artifact(result.uri, deps).read_bytes("report.zh.html").decode()
    with speaking("zh"):
        assert str(found.leakage[0].said) in html
        assert all(html_escape(str(finding.said)) in html for finding in found.findings[1:4])
    assert "No target" not in html


def test_only_the_training_part_is_read(explore: Callable[..., ExploreResult], deps: Deps) -> None:
    first, _ = read(explore(rows(), test=rows().with_columns(number=pl.lit(1e9))), deps)
    assert first.rows == 400
    number = first.column("number")
    assert number is not None
    assert number.numbers is not None
    assert number.numbers.max is not None
    assert number.numbers.max < 10


def test_the_same_rows_give_the_same_document(explore: Callable[..., ExploreResult], deps: Deps) -> None:
    frame = rows()
    first = explore(frame)
    assert explore(frame).reused
    deps.store.delete(first.uri)
    again = explore(frame)
    assert not again.reused
    assert again.digest == first.digest


def test_a_dataset_without_a_target_is_explored_too(explore: Callable[..., ExploreResult], deps: Deps) -> None:
    found, html = read(explore(rows(), {}), deps)
    assert found.target is None
    assert found.leakage == []
    assert "No target" in html


@pytest.mark.parametrize(
    ("frame", "error", "text"),
    [
        (rows().with_columns(y=pl.lit(True)), TargetError, "single value 'true'"),
        (rows().with_columns(y=pl.when(pl.col("id") > 3).then("y")), TargetError, "missing in 4 of 400"),
        (rows().with_columns(y=pl.lit(None, dtype=pl.Boolean)), TargetError, "missing in 400 of 400"),
        (rows().with_columns(y=pl.col("list")), TargetError, "has the type"),
        (rows().clear(), EmptyDataError, "no rows"),
    ],
)
def test_what_cannot_be_explored_is_refused(
    explore: Callable[..., ExploreResult], frame: pl.DataFrame, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        explore(frame)


@pytest.mark.parametrize("target", [pl.col("city"), pl.col("number"), pl.col("id") % 2])
def test_other_targets_work(explore: Callable[..., ExploreResult], deps: Deps, target: pl.Expr) -> None:
    found, _ = read(explore(rows().with_columns(y=target)), deps)
    assert found.target is not None
    assert 0 < found.target.positive_share < 1


def test_one_row_and_one_column(explore: Callable[..., ExploreResult], deps: Deps) -> None:
    found, _ = read(explore(pl.DataFrame({"x": [1.0]}), {}), deps)
    assert found.rows == 1
    assert found.columns[0].distinct == 1


def test_hundreds_of_columns_stay_readable(explore: Callable[..., ExploreResult], deps: Deps) -> None:
    wide = pl.DataFrame({f"c{i}": RNG.normal(size=50) for i in range(DETAILED_COLUMNS + 20)})
    result = explore(wide.with_columns(y=pl.Series(range(50)) % 2))
    found, html = read(result, deps)
    assert len(found.columns) == DETAILED_COLUMNS + 21
    assert html.count("<article") == DETAILED_COLUMNS
    assert "The other columns" in html
    sizes = {file.name: file.bytes for file in Artifact(result.uri, deps).manifest.files}
    assert max(sizes["report.html"], sizes["report.zh.html"]) < 5_000_000
    assert len(json.dumps(found.correlations.model_dump())) < 200_000
