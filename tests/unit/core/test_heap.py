from __future__ import annotations

import ctypes
from typing import Any

import pytest

from aimass.core.heap import keep_blocks, share_heaps


class Libc:
    def __init__(self) -> None:
        self.set: dict[int, int] = {}

    def mallopt(self, option: int, value: int) -> None:
        self.set[option] = value


@pytest.fixture
def libc(monkeypatch: pytest.MonkeyPatch) -> Libc:
    for variable in ("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
        monkeypatch.delenv(variable, raising=False)
    found = Libc()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: found)
    return found


def test_heaps_are_few_and_keep_blocks(libc: Libc) -> None:
    share_heaps()
    keep_blocks()
    assert libc.set == {-8: 2, -3: 16 << 20, -1: 64 << 20}


def test_what_a_user_sets_stands(libc: Libc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "0")
    share_heaps()
    keep_blocks()
    assert libc.set == {-3: 16 << 20}


@pytest.mark.parametrize("libc_without", [object(), None])
def test_other_c_libraries_are_left_alone(libc: Libc, monkeypatch: pytest.MonkeyPatch, libc_without: Any) -> None:
    def open_library(_: object) -> Any:
        if libc_without is None:
            raise OSError("no such library")
        return libc_without

    monkeypatch.setattr(ctypes, "CDLL", open_library)
    share_heaps()
    keep_blocks()
