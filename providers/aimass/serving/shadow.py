"""The trial of a version on recent requests, as a worker runs it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from aimass.core.errors import AimassError
from aimass.core.features.canonical_rows import canonical_value
from aimass.core.features.raw import RawColumn
from aimass.core.features.row_encoder import Block, RowEncoder
from aimass.core.reserved import NULL_STRING
from aimass.serving.loaded import LoadedModel
from aimass.serving.requests import Kinds, RecentRequest, block_in, kinds_of

Columns = dict[str, list[Any]]
"""Canonical cells by column, None where missing; dates in microseconds."""


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


class _Trial:
    """Counts while rows are tried."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self.outcome = TrialOutcome()
        self.diffs: list[float] = []
        self.times_ms: list[float] = []

    def fail(self, why: object) -> None:
        self.outcome.failed_rows += 1
        self.outcome.first_failure = self.outcome.first_failure or str(why)

    def run(self, row: Block, before: tuple[float, int] | None) -> None:
        """Answer one row, beside what was answered before."""
        started = time.perf_counter()
        try:
            probability, label = self._loaded.run(row)
        except Exception as error:  # noqa: BLE001 (ONNX Runtime's errors share no base; any of them is a failed row)
            self.fail(error)
            return
        self.times_ms.append((time.perf_counter() - started) * 1e3)
        if not np.isfinite(probability[0]):
            self.fail(f"the probability is {probability[0]}")
        elif before is not None:
            self.diffs.append(abs(float(probability[0]) - before[0]))
            self.outcome.label_changes += int(label[0]) != before[1]

    def result(self) -> TrialOutcome:
        """Return the whole."""
        outcome = self.outcome
        if self.diffs:
            outcome.mean_abs_diff, outcome.max_abs_diff = float(np.mean(self.diffs)), float(np.max(self.diffs))
        if self.times_ms:
            outcome.p50_ms, outcome.p99_ms = map(float, np.percentile(self.times_ms, [50, 99]))
        return outcome


def try_version(loaded: LoadedModel, requests: Sequence[RecentRequest]) -> TrialOutcome:
    """Return how a version answers recent requests, row by row, beside what was answered then.

    A column that the requests lack is missing in every row; one that they hold as another kind is converted.
    Where there are no requests, it answers a row without values.
    """
    trial = _Trial(loaded)
    alike: dict[tuple[tuple[str, str], ...], list[RecentRequest]] = defaultdict(list)
    for request in requests:
        alike[tuple(request.columns)].append(request)
    for columns, group in alike.items():
        block = Block.join([block_in(request.frame, list(columns)) for request in group])
        fitted, failed = _fitted(block, list(columns), loaded.encoder)
        probability = np.concatenate([np.frombuffer(request.frame.probability, "<f4") for request in group])
        label = np.concatenate([np.frombuffer(request.frame.label, "<i8") for request in group])
        trial.outcome.rows += block.n_rows
        for row in range(block.n_rows):
            if row in failed:
                trial.fail(failed[row])
            else:
                trial.run(fitted.part(row, row + 1), (float(probability[row]), int(label[row])))
    if not requests:
        trial.outcome.rows, trial.outcome.source = 1, "example"
        trial.run(loaded.empty(1), None)
    return trial.result()


def _fitted(block: Block, columns: Kinds, encoder: RowEncoder) -> tuple[Block, dict[int, AimassError]]:
    """Return rows of one signature as rows of another, and why some of them cannot be."""
    failed: dict[int, AimassError] = {}
    wanted = kinds_of(encoder.columns)
    if wanted == columns:
        return block, failed
    given = dict(columns)
    cells = cells_of(block, columns)
    for column in encoder.columns:
        if column.name in cells and given[column.name] != column.kind:
            cells[column.name] = [_converted(cell, column, row, failed) for row, cell in enumerate(cells[column.name])]
    return block_of(cells, encoder, block.n_rows), failed


def _converted(cell: Any, column: RawColumn, row: int, failed: dict[int, AimassError]) -> Any:
    try:
        return canonical_value(cell, column)
    except AimassError as error:
        failed[row] = error
        return None


def cells_of(block: Block, columns: Kinds) -> Columns:
    """Return the cells of a block by column."""
    names: dict[str, list[str]] = {"string": [], "float": [], "int": []}
    for name, kind in columns:
        names[kind if kind in names else "int"].append(name)
    cells: Columns = {}
    for name, texts in zip(names["string"], block.strings.tolist(), strict=True):
        cells[name] = [None if text == NULL_STRING else text for text in texts]
    for name, floats in zip(names["float"], block.floats.tolist(), strict=True):
        cells[name] = [None if value != value else value for value in floats]
    for name, ints, missing in zip(names["int"], block.ints.tolist(), block.missing.tolist(), strict=True):
        cells[name] = [None if gone else value for value, gone in zip(ints, missing, strict=True)]
    return cells


def block_of(cells: Mapping[str, Sequence[Any]], encoder: RowEncoder, n_rows: int) -> Block:
    """Return canonical cells by column as a block; a column that is not there is missing in every row."""

    def row(column: RawColumn, missing: Any) -> list[Any]:
        found = cells.get(column.name)
        return [missing if value is None else value for value in found] if found is not None else [missing] * n_rows

    def matrix(columns: Sequence[RawColumn], missing: Any, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        made = np.empty((len(columns), n_rows), dtype=dtype)
        for at, column in enumerate(columns):
            made[at] = row(column, missing)
        return made

    gone = np.zeros((len(encoder.ints), n_rows), dtype=np.bool_)
    for at, column in enumerate(encoder.ints):
        gone[at] = [value is None for value in row(column, None)]
    return Block(
        matrix(encoder.strings, NULL_STRING, object),
        matrix(encoder.floats, np.nan, np.float64),
        matrix(encoder.ints, 0, np.int64),
        gone,
    )
