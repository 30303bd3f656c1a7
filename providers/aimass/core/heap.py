"""glibc's heap, set up for reading rows: large blocks are freed and asked for all the time, in several threads.

What a user sets by glibc's own variables (``MALLOC_ARENA_MAX``, …) stands. Other C libraries have no such options.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

# The numbers of options in malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
HEAPS = 2
BLOCK_BYTES = 16 << 20
FREE_BYTES = 64 << 20


def share_heaps() -> None:
    """Let all threads of the process share a few heaps.

    Each connection of connectorx takes 8 MiB in a thread of its own, and each heap, of which glibc makes eight per
    core, keeps as much: with 256 of them, 3 M rows of 10 columns needed 500 MB instead of 260.
    """
    _set("MALLOC_ARENA_MAX", _M_ARENA_MAX, HEAPS)


def keep_blocks() -> None:
    """Let freed blocks of up to 16 MiB stay with the process for the next use, 64 MiB at most at the end of each heap.

    The kernel clears what it is given back before it gives it out again: a sixth of the time of reading CSV by HDFS.
    """
    _set("MALLOC_MMAP_THRESHOLD_", _M_MMAP_THRESHOLD, BLOCK_BYTES)
    _set("MALLOC_TRIM_THRESHOLD_", _M_TRIM_THRESHOLD, FREE_BYTES)


def _set(variable: str, option: int, value: int) -> None:
    if variable not in os.environ:
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).mallopt(option, value)
