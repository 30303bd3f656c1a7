from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.errors import NotFoundError
from aimass.core.sources.sample import preview, take_sample


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return Deps.from_runtime(Runtime(store=str(tmp_path / "store")))


def files(path: Path) -> dict[str, str]:
    return {"type": "files", "uri": str(path)}


@pytest.mark.parametrize(("rows", "taken", "is_whole"), [(5, 5, False), (10, 10, True), (11, 10, True)])
def test_a_sample_knows_whether_it_is_all(deps: Deps, tmp_path: Path, rows: int, taken: int, is_whole: bool) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "".join(f"{n}\n" for n in range(10)))
    found = take_sample(files(path), deps, rows=rows)
    assert found.rows["a"].to_list() == list(range(taken))
    assert found.is_whole is is_whole


def test_rows_that_do_not_fit_are_counted(deps: Deps, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3\n4,5\n")
    found = take_sample(files(path), deps)
    assert found.rows.height == 2
    assert found.reasons == {"too few fields": 1}
    assert found.examples == ["t.csv:3: too few fields"]


def test_a_preview_tells_types_examples_and_gaps(deps: Deps, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "名称,数,比,真,日,刻,空\n"
        "甲,1,0.5,true,2024-01-01,2024-01-01 08:00:00,\n"
        "乙,2,,false,2024-01-02,2024-01-02 08:00:00,\n"
        f"{'长' * 200},2,1.5,true,2024-01-01,2024-01-01 08:00:00,\n"
    )
    found = preview(take_sample(files(path), deps))
    by_name = {column.name: column for column in found.columns}
    assert {name: column.type for name, column in by_name.items()} == {
        "名称": "text", "数": "integer", "比": "number", "真": "boolean", "日": "date", "刻": "time", "空": "text",
    }  # fmt: skip
    assert by_name["真"].examples == ["true", "false"]
    assert by_name["数"].distinct == 2
    assert by_name["比"].missing_share == pytest.approx(1 / 3)
    assert by_name["空"].missing_share == 1
    assert len(by_name["名称"].examples[2]) == 80
    assert (found.rows_seen, found.rejected, found.is_whole) == (3, 0, True)


def test_what_is_no_plain_value_is_shown_too(deps: Deps, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"bytes": [b"x", b"y", None]}), path)
    (column,) = preview(take_sample(files(path), deps)).columns
    assert (column.type, column.distinct) == ("other", 2)


def test_a_missing_file_is_named(deps: Deps, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.csv"):
        take_sample(files(tmp_path / "gone.csv"), deps)
