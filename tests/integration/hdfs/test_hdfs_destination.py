"""Files that are handed over to HDFS."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimass.core.destinations.hdfs import HdfsDestination, HdfsDestinationSettings
from aimass.core.errors import NotAllowedError
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
