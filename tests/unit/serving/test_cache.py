from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from aimass.core.errors import CorruptDataError, StorageFullError
from aimass.core.storage import file_digest
from aimass.serving.cache import SPARE_VERSIONS, Cache
from aimass.serving.state import ModelEntry, Table, VersionRef
from aimass.serving.watcher import FILES
from tests.services.folder_registry import COLUMNS, write_model


@pytest.fixture
def digest(tmp_path: Path) -> str:
    (tmp_path / "origin").mkdir()
    write_model(tmp_path / "origin", 0.1, COLUMNS)
    return file_digest(tmp_path / "origin" / "model.onnx")


def test_a_version_is_fetched_once_and_again_when_it_is_damaged(tmp_path: Path, digest: str) -> None:
    fetched = []

    def fetch(folder: Path) -> None:
        fetched.append(folder)
        write_model(folder, 0.1, COLUMNS)

    cache = Cache(tmp_path / "cache", "s")
    folder = cache.obtain(digest, fetch)
    assert cache.obtain(digest, fetch) == folder
    assert len(fetched) == 1
    (folder / "model.onnx").write_bytes(b"damaged")
    assert file_digest(cache.obtain(digest, fetch) / "model.onnx") == digest
    assert len(fetched) == 2


def test_two_that_fetch_the_same_bytes_at_once_both_have_them(tmp_path: Path, digest: str) -> None:
    cache = Cache(tmp_path / "cache", "s")

    def fetch(folder: Path) -> None:
        write_model(folder, 0.1, COLUMNS)

    def fetch_late(folder: Path) -> None:
        cache.obtain(digest, fetch)
        fetch(folder)

    assert cache.obtain(digest, fetch_late) == cache.obtain(digest, fetch)


def test_what_is_not_the_version_is_not_kept(tmp_path: Path, digest: str) -> None:
    cache = Cache(tmp_path / "cache", "s")
    with pytest.raises(CorruptDataError, match="not whole"):
        cache.obtain(digest, lambda folder: write_model(folder, 0.9, COLUMNS))
    with pytest.raises(CorruptDataError, match="a sha256 of its"):
        cache.obtain("../../etc", lambda folder: None)
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_the_newest_spare_versions_stay(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", "s")
    names = [f"{number:064x}" for number in range(SPARE_VERSIONS + 5)]
    for age, name in enumerate(names):
        folder = tmp_path / "cache" / "models" / name
        folder.mkdir()
        os.utime(folder, (1e9 - age, 1e9 - age))
    cache.prune({names[-1]})
    assert {path.name for path in (tmp_path / "cache" / "models").iterdir()} == {*names[:SPARE_VERSIONS], names[-1]}


def test_the_table_comes_back_and_a_broken_one_is_none(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", "s")
    assert cache.load_table() is None
    table = Table(3, {"late": ModelEntry("flights", {"champion": "1"}, {"1": VersionRef("d", "deprecated")})})
    cache.save_table(table)
    assert Cache(tmp_path / "cache", "s").load_table() == table
    assert Cache(tmp_path / "cache", "other").load_table() is None
    (tmp_path / "cache" / "s.table.json").write_text('{"models": 7}')
    assert cache.load_table() is None


def test_a_version_that_finds_no_room_leaves_nothing_behind(tmp_path: Path) -> None:
    def fetch(folder: Path) -> None:
        (folder / FILES[0]).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageFullError, match="fetching a version"):
        Cache(tmp_path, "s").obtain("a" * 64, fetch)
    assert list((tmp_path / "models").iterdir()) == []
