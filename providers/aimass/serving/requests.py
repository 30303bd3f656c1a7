"""An answered request as bytes, the same for the journal, the ring of recent requests, and the trial of a version."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from aimass.core.features.raw import RawColumn
from aimass.core.features.row_encoder import Block
from aimass.serving.context import PredictionRecord

if TYPE_CHECKING:
    from aimass.serving.loaded import LoadedModel

ROWS_OF_A_REQUEST = 16
"""How many rows of one request the ring keeps."""

Kinds = list[tuple[str, str]]
"""Name and kind of each raw column, in the signature's order."""


class VersionFrame(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Stands in a journal before the first request of a version, and says what its rows are."""

    number: int
    """What the requests of this journal call it."""
    model: str
    version: str
    digest: str
    project: str
    columns: Kinds
    runs_on: str = ""
    """The machine that answers; empty in journals of earlier versions of this program."""


class RequestFrame(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """One answered request; matrices as in `Block`, row by row of the matrix, little-endian."""

    number: int
    request_id: str
    at: float
    alias: str
    latency_ms: float
    threads: int
    strings: list[list[str]]
    floats: bytes
    ints: bytes
    missing: bytes
    probability: bytes
    label: bytes

    @property
    def n_rows(self) -> int:
        """Number of its rows."""
        return len(self.probability) // 4


class RecentRequest(msgspec.Struct, frozen=True):
    """A request that was answered lately, and by which version."""

    version: str
    columns: Kinds
    frame: RequestFrame


def kinds_of(columns: Iterable[RawColumn]) -> Kinds:
    """Return names and kinds of raw columns."""
    return [(column.name, str(column.kind)) for column in columns]


def request_frame(record: PredictionRecord, number: int, threads: int) -> RequestFrame:
    """Return a request as bytes."""
    block = record.block
    return RequestFrame(
        number,
        record.request_id,
        record.at,
        record.resolved.alias,
        record.latency_ms,
        threads,
        block.strings.tolist(),
        block.floats.tobytes(),
        block.ints.tobytes(),
        block.missing.tobytes(),
        record.probability.tobytes(),
        record.label.tobytes(),
    )


def block_in(frame: RequestFrame, columns: Kinds) -> Block:
    """Return the rows of a request."""
    n_rows = frame.n_rows
    n_strings = sum(kind == "string" for _, kind in columns)
    strings = np.empty((n_strings, n_rows), dtype=object)
    for at, texts in enumerate(frame.strings):
        strings[at] = texts
    n_floats = sum(kind == "float" for _, kind in columns)
    n_ints = len(columns) - n_strings - n_floats
    return Block(
        strings,
        np.frombuffer(frame.floats, "<f8").reshape(n_floats, n_rows),
        np.frombuffer(frame.ints, "<i8").reshape(n_ints, n_rows),
        np.frombuffer(frame.missing, "?").reshape(n_ints, n_rows),
    )


class Recent:
    """The last requests of each model.

    Parameters
    ----------
    requests : int
        How many of each model are kept.
    """

    def __init__(self, requests: int) -> None:
        self._requests = max(1, requests)
        self._rings: dict[str, deque[RecentRequest]] = {}
        self._columns: dict[tuple[str, str, str], Kinds] = {}

    def append(self, loaded: LoadedModel, block: Block, frame: RequestFrame) -> None:
        """Keep a request; not its model, which may leave memory meanwhile."""
        ring = self._rings.get(loaded.name)
        if ring is None:
            ring = self._rings[loaded.name] = deque(maxlen=self._requests)
        key = (loaded.name, loaded.version, loaded.digest)
        columns = self._columns.get(key)
        if columns is None:
            columns = self._columns[key] = kinds_of(loaded.columns)
        if frame.n_rows > ROWS_OF_A_REQUEST:
            frame = _cut(frame, block, ROWS_OF_A_REQUEST)
        ring.append(RecentRequest(loaded.version, columns, frame))

    def newest(self, name: str, rows: int) -> list[RecentRequest]:
        """Return the newest requests of a model that together have about `rows` rows, the newest first."""
        found: list[RecentRequest] = []
        for request in reversed(self._rings.get(name, ())):
            if rows <= 0:
                break
            found.append(request)
            rows -= request.frame.n_rows
        return found


def _cut(frame: RequestFrame, block: Block, rows: int) -> RequestFrame:
    """Return the first rows of a request."""
    part = block.part(0, rows)
    return msgspec.structs.replace(
        frame,
        strings=part.strings.tolist(),
        floats=part.floats.tobytes(),
        ints=part.ints.tobytes(),
        missing=part.missing.tobytes(),
        probability=frame.probability[: 4 * rows],
        label=frame.label[: 8 * rows],
    )
