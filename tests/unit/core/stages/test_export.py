from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, DataError, SchemaMismatchError
from aimass.core.stages import export
from aimass.core.stages.export import ExportConfig, ExportResult
from aimass.core.testing.datasets import publish_rows
from aimass.core.testing.failpoints import FailAt

FRAME = pl.DataFrame({"n": [1, None, 3], "s": ["a", '雪,"x"', None]})


def run(deps: Deps, dataset: str, folder: Path, **options: Any) -> ExportResult:
    destination = {"type": "files", "uri": str(folder)}
    return export.run(ExportConfig(dataset=dataset, destination=destination, **options), deps)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("kind", "read"), [("parquet", pl.read_parquet), ("csv", pl.read_csv), ("json_lines", pl.read_ndjson)]
)
def test_rows_are_handed_over_and_the_marker_names_the_files(deps: Deps, tmp_path: Path, kind: Any, read: Any) -> None:
    result = run(deps, publish_rows(deps, {"train": FRAME}), tmp_path / "out", format=kind)
    marker = json.loads((tmp_path / "out" / "_SUCCESS").read_bytes())
    assert [file["name"] for file in marker["files"]] == result.files
    assert set(contents(tmp_path / "out")) == {"_SUCCESS", *result.files}
    assert pl.concat(read(tmp_path / "out" / name) for name in result.files).equals(FRAME)
    assert (result.rows, marker["rows"]) == (3, 3)


def test_again_is_the_same_and_writes_nothing_unless_the_marker_is_gone(deps: Deps, tmp_path: Path) -> None:
    dataset = publish_rows(deps, {"train": FRAME})
    run(deps, dataset, tmp_path / "out")
    before = contents(tmp_path / "out")
    assert run(deps, dataset, tmp_path / "out").reused
    (tmp_path / "out" / "_SUCCESS").unlink()
    assert not run(deps, dataset, tmp_path / "out").reused
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("point", ["file_exported", "before_success", "before_manifest", "after_manifest"])
def test_an_export_that_was_stopped_anywhere_is_finished_by_the_next(deps: Deps, tmp_path: Path, point: str) -> None:
    dataset = publish_rows(deps, {"train": FRAME, "test": FRAME[:1]})
    run(deps, dataset, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(replace(deps, failpoints=FailAt(point)), dataset, tmp_path / "out")
    result = run(deps, dataset, tmp_path / "out")
    assert set(contents(tmp_path / "out")) == {"_SUCCESS", *result.files}
    assert result.rows == 4


def test_another_export_of_the_folder_stays_or_gives_way_as_a_whole(deps: Deps, tmp_path: Path) -> None:
    first, second = publish_rows(deps, {"train": FRAME}), publish_rows(deps, {"train": FRAME[:1]})
    run(deps, first, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(DataError, match=r"another export.*on_existing"):
        run(deps, second, tmp_path / "out")
    assert contents(tmp_path / "out") == before
    result = run(deps, second, tmp_path / "out", on_existing="replace")
    assert set(contents(tmp_path / "out")) == {"_SUCCESS", *result.files}
    assert result.rows == 1


def test_a_folder_of_others_is_left_alone(deps: Deps, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "_SUCCESS").write_text("")
    with pytest.raises(DataError, match="not written by an export"):
        run(deps, publish_rows(deps, {"train": FRAME}), tmp_path / "out", on_existing="replace")


def test_columns_are_chosen_by_name(deps: Deps, tmp_path: Path) -> None:
    dataset = publish_rows(deps, {"train": FRAME})
    result = run(deps, dataset, tmp_path / "out", columns=["s"], format="csv")
    assert (tmp_path / "out" / result.files[0]).read_text().splitlines()[0] == "s"
    with pytest.raises(SchemaMismatchError, match="'m'"):
        run(deps, dataset, tmp_path / "other", columns=["m"])


def test_an_unknown_destination_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="files"):
        ExportConfig(dataset="x", destination={"type": "file"})
