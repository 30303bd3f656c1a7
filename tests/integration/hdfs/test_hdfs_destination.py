"""Files that are handed over to HDFS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aimass.core.destinations.hdfs import HdfsDestination, HdfsDestinationSettings
from aimass.core.errors import NotAllowedError
from aimass.core.sources.hdfs.source import HdfsSource
from aimass.core.stages import export
from aimass.core.stages.export import ExportConfig
from aimass.core.testing.datasets import publish_rows
from aimass.core.testing.failpoints import FailAt
from tests.integration.file_sources import FRAME
from tests.integration.hdfs.conftest import Folder

pytestmark = [pytest.mark.integration("hdfs"), pytest.mark.xdist_group("hdfs")]


def test_files_are_written_replaced_read_and_deleted(folder: Folder, tmp_path: Path) -> None:
    target = HdfsDestination(HdfsDestinationSettings(path=f"{folder.path}/out/"), folder.deps())
    assert target.read("a/x.csv") is None
    for content in (b"n\n1\n", b"n\n2\n"):
        (tmp_path / "x").write_bytes(content)
        target.write("a/x.csv", tmp_path / "x")
        assert target.read("a/x.csv") == content
    assert [file.path for file in folder.server.client.list_status(f"{folder.path}/out/a")] == [
        f"{folder.path}/out/a/x.csv"
    ]
    target.delete("a/x.csv")
    target.delete("a/x.csv")
    assert target.read("a/x.csv") is None


def test_who_may_not_write_is_told_so(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"n\n1\n")
    folder.put({"theirs": b""})
    target = HdfsDestination(HdfsDestinationSettings(path=folder.path), folder.deps(user="stranger"))
    with pytest.raises(NotAllowedError, match="stranger"):
        target.write("x.csv", tmp_path / "x")


@pytest.mark.parametrize(("kind", "ending"), [("parquet", "parquet"), ("csv", "csv"), ("json_lines", "jsonl")])
def test_a_dataset_is_handed_over_to_a_folder_once(
    folder: Folder, rows: Callable[[HdfsSource], list[dict[str, Any]]], kind: Any, ending: str
) -> None:
    """The export that dies after its first file is finished by the next, and what is there is not written again."""
    deps = folder.deps()
    destination = {"type": "hdfs", "path": f"{folder.path}/out"}
    dataset = publish_rows(deps, {"train": FRAME, "test": FRAME[:7]})
    config = ExportConfig(dataset=dataset, destination=destination, format=kind)
    with pytest.raises(KeyboardInterrupt):
        export.run(config, replace(deps, failpoints=FailAt("file_exported")))
    result = export.run(config, deps)
    assert result.rows == FRAME.height + 7
    assert sorted(row["n"] for row in rows(folder.source(f"out/*.{ending}"))) == sorted([*FRAME["n"], *range(7)])
    assert export.run(config, deps).reused
    client = folder.server.client
    client.delete(f"{folder.path}/out/_SUCCESS")
    assert not export.run(config, deps).reused
    names = {file.path.rpartition("/")[2] for file in client.list_status(f"{folder.path}/out")}
    assert names == {"_SUCCESS", *result.files}
    client.set_permission(folder.path, 0o755)
    elsewhere = config.model_copy(update={"destination": {**destination, "path": f"{folder.path}/theirs"}})
    with pytest.raises(NotAllowedError, match="stranger"):
        export.run(elsewhere, folder.deps(user="stranger"))
