from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aimass.core import datasets
from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, DataError, EmptyDataError
from aimass.core.manifest import load_manifest
from aimass.core.sources import blocks, file_rows
from aimass.core.stages.ingest import STAGE
from aimass.core.testing.failpoints import FailAt, RecordingFailpoints


def config(path: Path, **more: Any) -> Any:
    source = {"type": "files", "uri": str(path), **more.pop("source", {})}
    return STAGE.parse({"name": "t", "source": source, **more})


@pytest.fixture
def rows_csv(tmp_path: Path) -> Path:
    """A thousand rows, every hundredth of them bad."""
    path = tmp_path / "rows.csv"
    lines = [f"{i},bad" if i % 100 == 50 else f"{i},{i / 2}" for i in range(1_000)]
    path.write_text("\n".join(["n,half", *lines, ""]))
    return path


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults: Any = blocks.blocks.__kwdefaults__
    monkeypatch.setattr(blocks.blocks, "__kwdefaults__", {**defaults, "block_bytes": 500})
    monkeypatch.setattr(file_rows, "GATHER_BYTES", 1)
    monkeypatch.setattr(datasets, "ROWS_PER_CHECKPOINT", 150)


def rejected(deps: Deps, uri: str) -> list[dict[str, str]]:
    names = [file.name for file in load_manifest(deps.store, uri).files]
    assert all(name.startswith("rejects/") for name in names)
    texts = [gzip.decompress(deps.store.read_bytes(f"{uri}/{name}")) for name in names]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_rows_and_rejects_are_counted_and_kept(deps: Deps, rows_csv: Path) -> None:
    result = STAGE.run(config(rows_csv, source={"types": {"half": "double"}}), deps)
    assert (result.rows, result.rejected) == (990, 10)
    assert result.reject_reasons == {"column half: not float64": 10}
    assert result.reject_examples[0] == "rows.csv:52: column half: not float64"
    assert [row["raw"] for row in rejected(deps, result.uri)][:2] == ["50,bad", "150,bad"]
    assert open_dataset(result.uri, deps).read()["half"].dtype == pl.Float64


def test_too_many_rejects_fail_the_stage_and_stay_readable(deps: Deps, rows_csv: Path) -> None:
    wanted = config(rows_csv, source={"types": {"half": "double"}}, max_reject_share=0.009)
    with pytest.raises(DataError, match=r"10 of 1,000 rows.*column half.*rows\.csv:52") as raised:
        STAGE.run(wanted, deps)
    assert len(rejected(deps, raised.value.details["uri"])) == 10
    with pytest.raises(DataError):
        STAGE.run(wanted, deps)


def test_a_source_without_one_good_row_is_refused(deps: Deps, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\nx\ny\n")
    with pytest.raises(DataError, match="2 of 2 rows"):
        STAGE.run(config(tmp_path / "x.csv", source={"types": {"a": "integer"}}, max_reject_share=1), deps)
    (tmp_path / "empty.csv").write_text("a\n")
    with pytest.raises(EmptyDataError):
        STAGE.run(config(tmp_path / "empty.csv"), deps)


def test_a_retry_sees_the_files_of_its_run_and_a_new_run_sees_new_ones(deps: Deps, rows_csv: Path) -> None:
    wanted = config(rows_csv)
    first = STAGE.run(wanted, deps)
    assert STAGE.run(wanted, deps).reused
    rows_csv.write_text(rows_csv.read_text() + "1000,1\n")
    assert STAGE.run(wanted, deps).reused
    later = replace(deps, runtime=deps.runtime.model_copy(update={"run_id": "r2"}))
    second = STAGE.run(wanted, later)
    assert (second.reused, second.rows) == (False, first.rows + 1)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("point", ["part_staged", "part_done", "before_manifest"])
@pytest.mark.parametrize("nth", [1, 3])
def test_a_killed_ingest_goes_on_where_it_was(deps: Deps, rows_csv: Path, point: str, nth: int) -> None:
    wanted = config(rows_csv, source={"types": {"half": "double"}})
    clean = replace(deps, runtime=deps.runtime.model_copy(update={"project": "clean"}))
    expected = STAGE.run(wanted, clean)
    if point == "before_manifest":
        nth = 1
    with pytest.raises(KeyboardInterrupt):
        STAGE.run(wanted, replace(deps, failpoints=FailAt(point, nth)))
    again = RecordingFailpoints()
    result = STAGE.run(wanted, replace(deps, failpoints=again))
    assert result.model_copy(update={"uri": expected.uri}) == expected
    n_parts = len(load_manifest(deps.store, result.uri).parts)
    assert n_parts > 3
    assert again.names.count("part_staged") < n_parts or nth == 1
    assert rejected(deps, result.uri) == rejected(clean, expected.uri)
    assert not [name for name in deps.store.list(result.uri) if "checkpoint" in name or "staging" in name]


def test_mistakes_in_the_source_are_told_when_the_configuration_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'delimiter'"):
        config(tmp_path, source={"delimter": ";"})
    with pytest.raises(ConfigError, match=r"Unknown source 'file'.*Did you mean 'files'"):
        STAGE.parse({"name": "t", "source": {"type": "file"}})
