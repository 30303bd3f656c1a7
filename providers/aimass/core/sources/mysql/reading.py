"""The statements that read a position: key range by key range, each small enough for memory."""

# ruff: noqa: S608 - names and values are quoted by `quoted` and spelled in hexadecimal; the rest is the user's own

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa

from aimass.core.sources.mysql.columns import Column, is_date_or_null
from aimass.core.sources.mysql.keys import RowKey
from aimass.core.sources.mysql.tables import Table
from aimass.core.sources.watermark import Key, Watermark

FAULT = "_aimass_fault"
# As many as memory bears: each range costs connectorx a connection, and three threads that stay for 30 s.
ROWS_PER_RANGE = 32_768
ROWS_PER_WIDE_RANGE = 16_384
ROWS_PER_LONG_RANGE = 8_192
BYTES_PER_RANGE = 16 << 20
BYTES_OF_WIDE_ROW = 2_048
LATE_PER_STATEMENT = 500

Fetch = Callable[[str], pa.Table]
Ends = Callable[[list[str], Key | None], Key | None]


@dataclass(frozen=True)
class Job:
    """One statement of a read.

    Attributes
    ----------
    statement : str
        What to run.
    plain : str
        The same for the server's half the work, where every date is one: connectorx fails where one is none.
    resume : JSON-able
        Where the read stands after it.
    is_chosen : bool
        Whether the watermark says which of its rows are taken; the key then comes with the rows.
    """

    statement: str
    plain: str
    resume: Any
    is_chosen: bool = False


@dataclass(frozen=True)
class Selection:
    """Which rows of a table are read, and what of them.

    Attributes
    ----------
    table : Table
        The table or query.
    columns : list of Column
        The columns that are wanted.
    key : RowKey or None
        By what new rows are told; None where rows have no key.
    order : RowKey or None
        In which order they are read: by `key`, or by one that an index holds ready.
    where : str or None
        The condition of the settings.
    finds_zero_dates : bool
        Whether rows with a date that is none are to be told.
    """

    table: Table
    columns: list[Column]
    key: RowKey | None
    order: RowKey | None
    where: str | None
    finds_zero_dates: bool

    def statement(self, *conditions: str, selected: str | None = None, order: str = "", limit: str = "") -> str:
        """Return a SELECT of `selected`, or of the columns, over the rows of which all conditions hold."""
        both = [condition for condition in (self.where, *conditions) if condition]
        where = f" WHERE {' AND '.join(f'({condition})' for condition in both)}" if both else ""
        order = f" ORDER BY {order}" if order else ""
        return f"SELECT {selected or self.selected()} FROM {self.table.sql}{where}{order}{limit}"

    def plain(self, *, with_key: bool = False) -> str:
        """Return what is selected of each row where every date is one: its columns, and its key where wanted."""
        parts = [column.plain for column in self.columns]
        return ", ".join([*parts, self.key.selected] if self.key and with_key else parts)

    def selected(self, *, with_key: bool = False) -> str:
        """Return what is selected of each row: its columns, its key where wanted, its fault where it may have one."""
        parts = [column.expression for column in self.columns]
        if self.key and (with_key or self._dates):
            parts.append(self.key.selected)
        if self._dates:
            are_dates = " AND ".join(is_date_or_null(column) for column in self._dates)
            texts = [
                (column, f"CONCAT({_literal(column.name)}, ' ', CAST({column.quoted} AS CHAR))")
                for column in self._dates
            ]
            faults = ", ".join(f"IF({is_date_or_null(column)}, NULL, {text})" for column, text in texts)
            # The text is put together only where there is a fault: it costs more than the rest of the row.
            parts.append(f"IF({are_dates}, NULL, CONCAT_WS('; ', {faults})) AS `{FAULT}`")
        return ", ".join(parts)

    def jobs(self, mark: Watermark, resume: Any, fetch: Fetch) -> Iterator[Job]:
        """Yield the statements that read `mark`, after `resume`: late rows, the bulk, then where rows may come late.

        `fetch` finds out where ranges end; it is called between two jobs.
        """
        step, at = resume or (0, None)
        if step == 0:
            yield from self._late(mark, at or 0)
            at = None
        for number, (conditions, is_chosen) in enumerate(self._stretches(mark), start=1):
            if number < step:
                continue
            last = mark.to if is_chosen or mark.floor is None else [mark.floor]
            ends = partial(self._end, last=last, fetch=fetch)
            yield from self._ranges(conditions, number, at if number == step else None, ends, is_chosen=is_chosen)

    def count(self, conditions: list[str]) -> str:
        """Return the statement that counts the rows of which all conditions hold."""
        return self.statement(*conditions, selected="COUNT(*)")

    def stretch(self, mark: Watermark) -> list[str]:
        """Return the conditions of the rows of `mark` that are not late."""
        assert self.key is not None
        return [
            *([self.key.after(mark.after)] if mark.after else []),
            *([self.key.up_to(mark.to)] if mark.to else []),
        ]

    def _late(self, mark: Watermark, done: int) -> Iterator[Job]:
        assert self.key is not None
        while keys := mark.late[done : done + LATE_PER_STATEMENT]:
            done += len(keys)
            wanted = " OR ".join(f"({self.key.equals(key)})" for key in keys)
            yield self._job([wanted], self.key, [0, done])

    def _stretches(self, mark: Watermark) -> list[tuple[list[str], bool]]:
        """Return the rows that are all there for certain, and those near the end of which some may be late."""
        assert self.key is not None
        if not mark.has_range:
            return []
        whole = self.stretch(mark)
        if mark.floor is None:
            return [(whole, False)]
        # A prefix of the key, of which "up to" holds whatever follows.
        floor = [mark.floor]
        bulk = [] if mark.after and mark.after[0] > mark.floor else [([*whole, self.key.up_to(floor)], False)]
        return [*bulk, ([*whole, self.key.after(floor)], True)]

    def _ranges(
        self, conditions: list[str], step: int, at: Key | None, ends: Ends, *, is_chosen: bool
    ) -> Iterator[Job]:
        assert self.order is not None
        while True:
            beyond = [self.order.after(at)] if at else []
            end = ends([*conditions, *beyond], at)
            bound = [self.order.up_to(end)] if end else []
            resume = [step, end] if end else [step + 1, None]
            yield self._job([*conditions, *beyond, *bound], self.order, resume, is_chosen=is_chosen)
            if end is None:
                return
            at = end

    def _job(self, conditions: list[str], order: RowKey, resume: Any, *, is_chosen: bool = False) -> Job:
        selected = self.selected(with_key=is_chosen), self.plain(with_key=is_chosen)
        guarded, plain = (self.statement(*conditions, selected=some, order=order.order()) for some in selected)
        return Job(guarded, plain, resume, is_chosen)

    def _end(self, conditions: list[str], at: Key | None, *, last: Key | None, fetch: Fetch) -> Key | None:
        """Return the key up to which rows after `at` fit into a range; None where all up to `last` do."""
        assert self.order is not None
        if at and last and self._is_dense(at, last):
            end = int(at[0]) + self.rows_per_range
            return [end] if end < int(last[0]) else None
        if not self._long:
            limit = f" LIMIT 1 OFFSET {self.rows_per_range - 1}"
            probe = self.statement(*conditions, selected=self.order.selected, order=self.order.order(), limit=limit)
            return next(iter(self.order.keys(fetch(probe))), None)
        sizes = " + ".join(f"COALESCE(LENGTH({column.quoted}), 0)" for column in self._long)
        selected = f"{self.order.selected}, CAST({sizes} AS UNSIGNED) AS `{FAULT}`"
        limit = f" LIMIT {self.rows_per_range}"
        found = fetch(self.statement(*conditions, selected=selected, order=self.order.order(), limit=limit))
        sums = np.cumsum([int(size) for size in found.column(FAULT).to_pylist()])
        fits = int(np.searchsorted(sums, BYTES_PER_RANGE)) + 1
        if fits >= found.num_rows < self.rows_per_range:
            return None
        return self.order.keys(found.slice(min(fits, found.num_rows) - 1, 1))[0]

    def _is_dense(self, at: Key, last: Key) -> bool:
        """Return whether keys are numbers with so few gaps that a range may as well be as many numbers as rows.

        However the gaps lie, there are then at most a quarter more ranges, and none has too many rows.
        """
        if self._long or self.where or self.order is None or self.key is None or self.order.names != self.key.names:
            return False
        is_number = [column.key_kind for column in self.key.columns] == ["number"]
        return is_number and int(last[0]) - int(at[0]) <= 1.25 * (self.table.rows or 0)

    @cached_property
    def rows_per_range(self) -> int:
        """How many rows are read at once, if none is unusually long."""
        typical = sum(column.typical_bytes for column in self.columns)
        largest = sum(max(column.typical_bytes, column.max_bytes) for column in self.columns)
        wide = ROWS_PER_LONG_RANGE if self._long else ROWS_PER_WIDE_RANGE
        most = min(ROWS_PER_RANGE, wide) if self._long or largest > BYTES_OF_WIDE_ROW else ROWS_PER_RANGE
        return max(256, min(most, BYTES_PER_RANGE // max(1, typical)))

    @cached_property
    def _long(self) -> list[Column]:
        return [column for column in self.columns if column.is_long]

    @cached_property
    def _dates(self) -> list[Column]:
        return [column for column in self.columns if column.is_date and self.finds_zero_dates]


def _literal(text: str) -> str:
    return f"_utf8mb4 x'{text.encode().hex()}'"
