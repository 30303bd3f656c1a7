"""From an answer to the disk, before it is sent: journals, which sealing turns into segments of the prediction log.

A journal is a file of frames (length, checksum, msgpack). Its writer holds a lock on it for as long as it writes; a
journal whose lock is free is complete, whether it was closed or its writer was killed, and anybody may seal it. One
``write`` per request puts the frame into the kernel's memory, which the death of the process does not touch.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import random
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from aimass.serving.context import PredictionRecord
from aimass.serving.machine import runs_on
from aimass.serving.requests import Recent, RequestFrame, VersionFrame, kinds_of, request_frame

if TYPE_CHECKING:
    from aimass.serving.loaded import LoadedModel

SUFFIX = ".journal"
_HEAD = struct.Struct("<II")
LARGEST_FRAME = 1 << 30
LARGEST_JOURNAL = 64 << 20
"""Bytes after which a journal ends before its time: whoever seals it holds it in memory."""

log = logging.getLogger(__name__)


class DroppedFrame(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """How many rows found no room since the last one."""

    rows: int


class LabelFrame(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Labels that came late, of one model."""

    model: str
    project: str
    at: float
    labels: list[tuple[str, int, int]]
    """Request, row, and 0 or 1."""


Frame = VersionFrame | RequestFrame | DroppedFrame | LabelFrame
_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


class JournalFile:
    """The journal that a process writes now; a new one is begun whenever the last was closed.

    Parameters
    ----------
    folder : Path
        Where the journals of this server lie.
    slot : int
        Place of the process among those of its server, below 1000.
    limit_bytes : int
        What may lie in `folder` unsealed, as far as this process writes it.
    """

    def __init__(self, folder: Path, slot: int, limit_bytes: int) -> None:
        self.dropped = 0
        self.written = 0
        self._folder = folder
        self._slot = slot
        self._limit = limit_bytes
        self.unsealed = 0
        self._file: int | None = None
        self._size = 0

    @property
    def is_full(self) -> bool:
        """Whether it is time for another one."""
        return self._size >= LARGEST_JOURNAL

    @property
    def is_open(self) -> bool:
        """Whether a journal is begun."""
        return self._file is not None

    def append(self, frame: Frame) -> bool:
        """Write one frame; return False where there is no room for it, which `dropped` counts as one."""
        body = _ENCODER.encode(frame)
        data = _HEAD.pack(len(body), zlib.crc32(body)) + body
        try:
            if self.unsealed + self._size + len(data) > self._limit:
                raise OSError("the limit for unsealed predictions is reached")
            if self._file is None:
                self._begin()
            self._write(data)
        except OSError as error:
            if not self.dropped:
                log.error("predictions are dropped from the log: %s", error)
            self.dropped += 1
            return False
        self.written += 1
        return True

    def close(self, unsealed_bytes: int = 0) -> None:
        """End the journal, so that it is sealed; `unsealed_bytes` is what lies there besides."""
        self.unsealed = unsealed_bytes + self._size
        if self._file is not None:
            os.close(self._file)
            self._file, self._size = None, 0

    def _begin(self) -> None:
        # No other journal of the server has that number, which its segments get too.
        final = self._folder / f"{time.time_ns() // 1000 * 1000 + self._slot}{SUFFIX}"
        # Nobody may see it without its lock.
        unborn = final.with_suffix(".new")
        descriptor = os.open(unborn, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            unborn.rename(final)
        except OSError:
            os.close(descriptor)
            raise
        self._file, self._size = descriptor, 0

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        try:
            written = os.write(self._file, data)
            if written < len(data):
                raise OSError("no space left on the device")
        except OSError:
            # Half a frame would hide all that come after it.
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            raise
        self._size += written


def read_frames(path: Path) -> Iterator[Frame]:
    """Yield the frames of a journal; a last one that was cut off is left out."""
    with path.open("rb") as reader:
        while len(head := reader.read(_HEAD.size)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            body = reader.read(length) if length <= LARGEST_FRAME else b""
            if len(body) < length or zlib.crc32(body) != checksum:
                log.warning("%s ends with a frame that is not whole, which is left out", path.name)
                return
            yield _DECODER.decode(body)


@contextlib.contextmanager
def taken(path: Path) -> Iterator[bool]:
    """Hold a journal's lock within the block; yield whether it was free and the journal is still there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def unsealed_bytes(folder: Path) -> int:
    """Return the size of all journals in `folder`."""
    sizes = 0
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            sizes += path.stat().st_size
    return sizes


class WorkerJournal:
    """Takes a worker's answered requests: into the ring of recent ones, and a sample of them into the journal.

    Parameters
    ----------
    file : JournalFile or None
        The journal; None keeps no log.
    sample : float
        Share of the requests that it takes.
    threads : int
        Threads of one run, as the log notes them.
    recent : Recent
        The ring.
    """

    def __init__(self, file: JournalFile | None, sample: float, threads: int, recent: Recent) -> None:
        self.dropped_rows = 0
        self._file = file
        self._sample = sample
        self._threads = threads
        self._recent = recent
        self._numbers: dict[tuple[str, str, str], int] = {}
        self._pending_drops = 0

    def append(self, record: PredictionRecord) -> None:
        """Note a request just before its answer is sent; see `Journal.append`."""
        loaded, file = record.resolved.loaded, self._file
        if file is None or (self._sample < 1 and random.random() >= self._sample):
            self._recent.append(loaded, record.block, request_frame(record, 0, self._threads))
            return
        if file.is_full:
            self.rotate(file.unsealed)
        number = self._number(file, loaded)
        frame = request_frame(record, number or 0, self._threads)
        self._recent.append(loaded, record.block, frame)
        if number is None or not file.append(frame):
            self.dropped_rows += len(record.probability)
            self._pending_drops += len(record.probability)

    def rotate(self, unsealed: int) -> bool:
        """End the journal, so that it is sealed; return whether there was one."""
        if self._file is None:
            return False
        was_open = self._file.is_open
        if was_open and self._pending_drops and self._file.append(DroppedFrame(self._pending_drops)):
            self._pending_drops = 0
        self._file.close(unsealed)
        self._numbers.clear()
        return was_open

    def _number(self, file: JournalFile, loaded: LoadedModel) -> int | None:
        """Return what the journal calls the version; None where there is no room to say so."""
        key = (loaded.name, loaded.version, loaded.digest)
        number = self._numbers.get(key)
        if number is None:
            number = len(self._numbers)
            if not file.append(VersionFrame(number, *key, loaded.project, kinds_of(loaded.columns), runs_on())):
                return None
            self._numbers[key] = number
        return number
