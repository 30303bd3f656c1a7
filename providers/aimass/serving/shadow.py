"""Recent requests, kept to try a new version on; and the trial itself, as a worker runs it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from aimass.core.errors import AimassError
from aimass.core.features.canonical_rows import canonical_value
from aimass.core.features.raw import RawColumn
from aimass.core.features.row_encoder import Block, RowEncoder
from aimass.core.reserved import NULL_STRING
from aimass.serving.context import PredictionRecord
from aimass.serving.loaded import Labels, LoadedModel, Probabilities

ROWS_OF_A_REQUEST = 16
"""How many rows of one request the ring keeps."""

Columns = dict[str, list[Any]]
"""Canonical cells by column, None where missing; dates in microseconds."""


class RecentRequest(msgspec.Struct, frozen=True):
    """A request that was answered lately."""

    at: float
    version: str
    kinds: dict[str, str]
    columns: Columns
    probability: list[float]
    label: list[int]

    @property
    def n_rows(self) -> int:
        """Number of its rows."""
        return len(self.probability)


class TrialOrder(msgspec.Struct, frozen=True):
    """A worker is told to try a version."""

    model: str
    version: str
    requests: list[RecentRequest]


class TrialOutcome(msgspec.Struct):
    """How a version did."""

    rows: int = 0
    failed_rows: int = 0
    mean_abs_diff: float = 0.0
    max_abs_diff: float = 0.0
    label_changes: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    source: str = "recent"
    first_failure: str = ""


class _Kept(NamedTuple):
    at: float
    version: str
    encoder: RowEncoder
    block: Block
    probability: Probabilities
    label: Labels


class Recent:
    """The last requests of each model.

    Parameters
    ----------
    rows : int
        How many requests of each model are kept.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._rings: dict[str, deque[_Kept]] = {}

    def append(self, record: PredictionRecord) -> None:
        """Keep a request; not its model, which may leave memory meanwhile."""
        loaded = record.resolved.loaded
        ring = self._rings.get(loaded.name)
        if ring is None:
            ring = self._rings[loaded.name] = deque(maxlen=max(1, self._rows))
        block, probability, label = record.block, record.probability, record.label
        if len(probability) > ROWS_OF_A_REQUEST:
            block = block.part(0, ROWS_OF_A_REQUEST)
            probability, label = probability[:ROWS_OF_A_REQUEST].copy(), label[:ROWS_OF_A_REQUEST].copy()
        ring.append(_Kept(record.at, loaded.version, loaded.encoder, block, probability, label))

    def newest(self, name: str, rows: int) -> list[RecentRequest]:
        """Return the newest requests of a model that together have about `rows` rows."""
        found: list[RecentRequest] = []
        for kept in reversed(self._rings.get(name, ())):
            if rows <= 0:
                break
            taken = min(rows, len(kept.probability))
            rows -= taken
            found.append(
                RecentRequest(
                    kept.at,
                    kept.version,
                    {column.name: str(column.kind) for column in kept.encoder.columns},
                    columns_of(kept.block.part(0, taken), kept.encoder),
                    kept.probability[:taken].tolist(),
                    kept.label[:taken].tolist(),
                )
            )
        return found


def columns_of(block: Block, encoder: RowEncoder) -> Columns:
    """Return the cells of a block by column."""
    columns: Columns = {}
    for column, texts in zip(encoder.strings, block.strings.tolist(), strict=True):
        columns[column.name] = [None if text == NULL_STRING else text for text in texts]
    for column, floats in zip(encoder.floats, block.floats.tolist(), strict=True):
        columns[column.name] = [None if value != value else value for value in floats]
    for column, ints, missing in zip(encoder.ints, block.ints.tolist(), block.missing.tolist(), strict=True):
        columns[column.name] = [None if gone else value for value, gone in zip(ints, missing, strict=True)]
    return columns


def block_of(columns: Mapping[str, Sequence[Any]], encoder: RowEncoder, n_rows: int) -> Block:
    """Return canonical cells by column as a block; a column that is not there is missing in every row."""

    def cells(column: RawColumn, missing: Any) -> list[Any]:
        found = columns.get(column.name)
        return [missing if value is None else value for value in found] if found is not None else [missing] * n_rows

    shape = (-1, n_rows)
    strings = np.empty((len(encoder.strings), n_rows), dtype=object)
    for at, column in enumerate(encoder.strings):
        strings[at] = cells(column, NULL_STRING)
    floats = np.array([cells(column, np.nan) for column in encoder.floats], dtype=np.float64).reshape(shape)
    ints = np.array([cells(column, 0) for column in encoder.ints], dtype=np.int64).reshape(shape)
    gone = [[value is None for value in cells(column, None)] for column in encoder.ints]
    return Block(strings, floats, ints, np.array(gone, dtype=np.bool_).reshape(shape))


def try_version(loaded: LoadedModel, requests: Sequence[RecentRequest]) -> TrialOutcome:
    """Return how a version answers recent requests, row by row, beside what was answered then.

    A column that the requests lack is missing in every row; one that they hold as another kind is converted.
    Where there are no requests, it answers rows without values.
    """
    outcome = TrialOutcome(source="recent" if requests else "example")
    diffs: list[float] = []
    times_ms: list[float] = []
    for request in requests or [_example(loaded)]:
        outcome.rows += request.n_rows
        try:
            block = block_of(_converted(request, loaded.encoder), loaded.encoder, request.n_rows)
        except AimassError as error:
            outcome.failed_rows += request.n_rows
            outcome.first_failure = outcome.first_failure or str(error)
            continue
        for row in range(request.n_rows):
            started = time.perf_counter()
            try:
                probability, label = loaded.run(block.part(row, row + 1))
            except Exception as error:  # noqa: BLE001 (ONNX Runtime's errors share no base; any of them is a failed row)
                outcome.failed_rows += 1
                outcome.first_failure = outcome.first_failure or str(error)
                continue
            times_ms.append((time.perf_counter() - started) * 1e3)
            if not np.isfinite(probability[0]):
                outcome.failed_rows += 1
                outcome.first_failure = outcome.first_failure or f"the probability is {probability[0]}"
            elif requests:
                diffs.append(abs(float(probability[0]) - request.probability[row]))
                outcome.label_changes += int(label[0]) != request.label[row]
    if diffs:
        outcome.mean_abs_diff, outcome.max_abs_diff = float(np.mean(diffs)), float(np.max(diffs))
    if times_ms:
        outcome.p50_ms, outcome.p99_ms = map(float, np.percentile(times_ms, [50, 99]))
    return outcome


def _converted(request: RecentRequest, encoder: RowEncoder) -> Columns:
    """Return the cells of the columns that the version knows, as the kinds that it knows."""
    columns: Columns = {}
    for column in encoder.columns:
        cells = request.columns.get(column.name)
        if cells is None:
            continue
        same = request.kinds[column.name] == column.kind
        columns[column.name] = cells if same else [canonical_value(cell, column) for cell in cells]
    return columns


def _example(loaded: LoadedModel) -> RecentRequest:
    empty = columns_of(loaded.empty(1), loaded.encoder)
    kinds = {column.name: str(column.kind) for column in loaded.columns}
    return RecentRequest(0.0, "", kinds, empty, [0.0], [0])
