"""What is new in a table: the keys that are there now, and what may still come late."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from aimass.core.errors import ConfigError, DataError
from aimass.core.sources.mysql.reading import Selection
from aimass.core.sources.mysql.settings import MySqlSettings
from aimass.core.sources.watermark import Key, Watermark

if TYPE_CHECKING:
    import pyarrow as pa

LOOKBACK_IDS, LOOKBACK_S = 10_000, 300.0


class TableKeys:
    """The keys of a selection's rows, as `next_watermark` asks for them.

    Parameters
    ----------
    settings : MySqlSettings
        How far back to look.
    selection : Selection
        The rows; they have a key.
    fetch : callable
        Runs a statement.
    follows : bool
        Whether later reads will ask what is new; otherwise nothing is remembered for them.
    """

    def __init__(
        self, settings: MySqlSettings, selection: Selection, fetch: Callable[[str], pa.Table], *, follows: bool
    ) -> None:
        assert selection.key is not None
        self._settings = settings
        self._selection = selection
        self._key = selection.key
        self._fetch = fetch
        self._follows = follows

    def newest(self, after: Key | None) -> Key | None:
        """Return the greatest key that is greater than `after`, or of all."""
        condition = [self._key.after(after)] if after else []
        return self._first(*condition, descending=True)

    def between(self, after: Key, to: Key) -> Iterable[Key]:
        """Return the keys greater than `after`, up to and with `to`, in order."""
        conditions = (self._key.after(after), self._key.up_to(to))
        statement = self._selection.statement(*conditions, selected=self._key.selected, order=self._key.order())
        return self._key.keys(self._fetch(statement))

    def floor(self, to: Key) -> Any:
        """Return the first column's value below which no row comes late; None where none does at all."""
        column = self._key.columns[0]
        lookback = self._settings.lookback
        if not self._follows or lookback == 0:
            return None
        if column.key_kind == "number":
            return int(to[0]) - int(LOOKBACK_IDS if lookback is None else lookback)
        if column.key_kind == "time":
            return _earlier(to[0], dt.timedelta(seconds=LOOKBACK_S if lookback is None else lookback))
        if lookback is None:
            return None
        raise ConfigError(
            f"`lookback` cannot be measured in the column {column.name!r}, a {column.sql_type}",
            expected="a whole number or a time as the first incremental column, or `lookback: 0`",
            column=column.name,
        )

    def check(self, since: Watermark | None, newest: Key | None, now: dt.datetime) -> None:
        """Raise DataError where the table has become less, has rows without a place, or is ahead of its time.

        Parameters
        ----------
        since : Watermark or None
            Where the last read ended.
        newest : list or None
            The greatest key there is now.
        now : datetime.datetime
            The server's time, UTC.
        """
        self._check_nulls()
        if newest is not None and self._key.columns[0].key_kind == "time":
            self._check_clock(newest[0], now)
        if since is None or since.to is None or self._settings.on_shrink == "ignore":
            return
        if self.newest(since.to) is None and self._first(self._key.equals(since.to)) is None:
            raise DataError(
                f"What was read of {self._selection.table.label} is gone: the last read ended with {since.to}, and the "
                f"greatest key now is {newest}",
                expected="rows that only become more",
                hint="Read it anew under another `name` if it was emptied and filled again; set `on_shrink: ignore` if "
                "rows were deleted on purpose",
            )

    def cut(self, mark: Watermark, count: int, *, rows: int | None) -> list[Watermark]:
        """Cut a watermark into at most `count` of about the same number of rows, `rows` in all if that is known."""
        if not mark.has_range or not rows or count < 2:
            return [mark]
        stretch, ends, at = self._selection.stretch(mark), [], mark.after
        for _ in range(count - 1):
            beyond = [self._key.after(at)] if at else []
            at = self._first(*stretch, *beyond, offset=max(1, rows // count) - 1)
            if at is None or at == mark.to:
                break
            ends.append(at)
        return mark.cut(ends)

    def _first(self, *conditions: str, descending: bool = False, offset: int = 0) -> Key | None:
        limit = f" LIMIT 1 OFFSET {offset}"
        order = self._key.order(descending=descending)
        found = self._fetch(
            self._selection.statement(*conditions, selected=self._key.selected, order=order, limit=limit)
        )
        return next(iter(self._key.keys(found)), None)

    def _check_nulls(self) -> None:
        condition = self._key.is_null()
        if (
            condition
            and self._fetch(self._selection.statement(condition, selected="1 AS `found`", limit=" LIMIT 1")).num_rows
        ):
            raise DataError(
                f"Rows of {self._selection.table.label} have no value in {' or '.join(self._key.names)}",
                expected="a value in each column by which rows are told apart",
                hint=f"Leave them out with `where: {self._key.names[0]} IS NOT NULL`, or choose other columns",
            )

    def _check_clock(self, newest: str, now: dt.datetime) -> None:
        limit = now + dt.timedelta(seconds=self._settings.max_ahead_s)
        if dt.datetime.fromisoformat(newest) > limit:
            raise DataError(
                f"A row of {self._selection.table.label} has the time {newest} in {self._key.names[0]}, though the "
                f"server's clock says {now:%Y-%m-%d %H:%M:%S} UTC",
                expected=f"times of at most {self._settings.max_ahead_s:,.0f} s ahead",
                hint="Mend the clock that wrote it, leave such rows out with `where`, or raise `max_ahead_s`",
            )


def _earlier(text: str, lookback: dt.timedelta) -> str:
    """Return the time before `text`, as wide as it."""
    if len(text) == len("2024-01-31"):
        return str(dt.date.fromisoformat(text) - lookback - dt.timedelta(days=1))
    shown = (dt.datetime.fromisoformat(text) - lookback).isoformat(sep=" ", timespec="microseconds")
    return shown[: len(text)]
