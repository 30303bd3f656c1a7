"""MySQL as a source: a table or a query, as it is or what is new."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, CorruptDataError
from aimass.core.sources.base import SourceBatch
from aimass.core.sources.mysql.batches import to_batch
from aimass.core.sources.mysql.columns import schema_of
from aimass.core.sources.mysql.connection import MySqlConnection
from aimass.core.sources.mysql.engines import ConnectorEngine, ConnectorxEngine, Engine, make_engine
from aimass.core.sources.mysql.keys import RowKey
from aimass.core.sources.mysql.readers import read_in_order
from aimass.core.sources.mysql.reading import BYTES_PER_RANGE, Job, Selection
from aimass.core.sources.mysql.sessions import rows_of, session
from aimass.core.sources.mysql.settings import MySqlSettings
from aimass.core.sources.mysql.tables import Table, find_query, find_table
from aimass.core.sources.mysql.watch import TableKeys
from aimass.core.sources.watermark import Watermark, next_watermark

if TYPE_CHECKING:
    import pyarrow as pa
    from mysql.connector.connection import MySQLConnection

LOG = logging.getLogger(__name__)


class MySqlSource:
    """The rows of a table or query, by key range where rows have a key.

    Where no columns are named that only grow, nobody can tell whether anything has changed: each position is then
    another one, and a new run reads anew.
    """

    Settings: ClassVar[type[settings.Settings]] = MySqlSettings
    consistent: ClassVar[bool] = True

    def __init__(self, settings: MySqlSettings, deps: Deps) -> None:
        self.settings = settings
        self._deps = deps

    def position(self, since: Any = None) -> dict[str, Any] | None:
        """Return up to which key rows are there now; None when there are no new ones.

        Raises
        ------
        NotFoundError, NotAllowedError, UnreachableError
            As the server says.
        ConfigError
            Rows cannot be told apart, so nobody knows which are new.
        DataError
            The row with which the last read ended is gone, or a time lies in the future.
        """
        self._check_read()
        with session(self._connection) as opened:
            now = dt.datetime.fromisoformat(str(rows_of(opened, "SELECT UTC_TIMESTAMP(6)")[0][0]))
            taken = {} if self.settings.incremental else {"taken": now.isoformat(timespec="microseconds")}
            found = self._selection
            if found.key is None and since is None:
                return taken
            if since is not None and not self._tells_new:
                raise self._cannot_tell()
            # Keys near the end may be many, so they come the fast way if there is one.
            engine = (
                self._engine
                if isinstance(self._engine, ConnectorxEngine)
                else ConnectorEngine(self._connection, opened)
            )
            keys = TableKeys(self.settings, found, engine.fetch, follows=self._tells_new)
            earlier = Watermark.model_validate(since["mark"]) if since is not None else None
            keys.check(earlier, keys.newest(None), now)
            mark = next_watermark(keys, earlier)
        return None if mark is None else {**taken, "mark": mark.model_dump(mode="json")}

    def schema(self, position: Any) -> pa.Schema:
        """Return the columns and types."""
        return schema_of(self._selection.columns)

    def read(self, position: Any, resume: Any = None) -> Iterator[SourceBatch]:
        """Yield the rows in batches of about 16 MiB, or of one row where that is more.

        A snapshot, and rows without a key, cannot be resumed: `resume` is None in each batch.
        """
        self._check_read()
        mark = Watermark.model_validate(position["mark"]) if "mark" in position else None
        if mark is None or self.settings.consistency == "snapshot":
            yield from self._read_snapshot(mark)
            return
        engine, found = self._engine, self._selection
        if isinstance(engine, ConnectorEngine):
            _warn("connectorx is not installed, or not wanted")
        fetch = _Fetch(engine)

        def read(job: Job) -> SourceBatch:
            return self._batch(fetch(job), mark if job.is_chosen else None, job.resume)

        yield from read_in_order(found.jobs(mark, resume, engine.fetch), read, readers=self.settings.readers)

    def estimate(self, position: Any) -> int | None:
        """Return about how many rows there are to read, where that is known without counting."""
        found, mark = self._selection, Watermark.model_validate(position.get("mark", {}))
        if mark.after is None or mark.to is None:
            return None if self.settings.where else found.table.rows
        if len(mark.to) == 1 and isinstance(mark.to[0], int):
            return int(mark.to[0] - mark.after[0]) + len(mark.late)
        return None

    def partitions(self, position: Any, count: int) -> list[dict[str, Any]]:
        """Cut a position into ranges of the key with about the same number of rows."""
        found = self._selection
        if "mark" not in position or found.key is None or self.settings.consistency == "snapshot":
            return [position]
        keys = TableKeys(self.settings, found, self._engine.fetch, follows=False)
        marks = keys.cut(Watermark.model_validate(position["mark"]), count, rows=self.estimate(position))
        return [{**position, "mark": mark.model_dump(mode="json")} for mark in marks]

    def _read_snapshot(self, mark: Watermark | None) -> Iterator[SourceBatch]:
        """Read in one transaction, over one connection."""
        _warn("rows without a key come over one connection" if mark is None else "a snapshot is one transaction")
        found = self._selection
        with session(self._connection) as opened:
            opened.cmd_query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            opened.cmd_query("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            engine = ConnectorEngine(self._connection, opened)
            if mark is None:
                for table in engine.stream(found.statement(), rows=found.rows_per_range, size_bytes=BYTES_PER_RANGE):
                    yield self._batch(table, None, None)
                return
            for job in found.jobs(mark, None, engine.fetch):
                yield self._batch(engine.fetch(job.statement), mark if job.is_chosen else None, None)

    def _batch(self, table: pa.Table, chosen: Watermark | None, resume: Any) -> SourceBatch:
        return to_batch(table, self._selection, chosen=chosen, resume=resume, zero_dates=self.settings.zero_dates)

    def _check_read(self) -> None:
        wanted = self.settings
        what = wanted.table or "query"
        self._deps.check_read(f"mysql://{self._connection.address}/{self._connection.database}/{what}", wanted.columns)

    @cached_property
    def _connection(self) -> MySqlConnection:
        return self._deps.connection(self.settings.conn_id, MySqlConnection)

    @cached_property
    def _engine(self) -> Engine:
        return make_engine(self.settings.engine, self._connection)

    @cached_property
    def _selection(self) -> Selection:
        """What is read, as the server describes it; asked once."""
        with session(self._connection) as opened:
            table = self._table(opened)
        wanted = self.settings
        columns = [table.column(name) for name in wanted.columns] if wanted.columns else list(table.columns)
        own = [table.column(name) for name in wanted.key or table.key]
        grows = [table.column(name) for name in wanted.incremental]
        key = [*grows, *(column for column in own if column not in grows)]
        is_ready = not own or not wanted.table or table.is_in_order([column.name for column in key])
        return Selection(
            table=table,
            columns=columns,
            key=RowKey(key) if key else None,
            order=RowKey(key if is_ready else own) if key else None,
            where=wanted.where,
            finds_zero_dates=wanted.zero_dates != "null",
        )

    def _table(self, opened: MySQLConnection) -> Table:
        if self.settings.query is not None:
            return find_query(opened, self.settings.query)
        assert self.settings.table is not None
        return find_table(opened, self._connection.database, self.settings.table)

    @property
    def _tells_new(self) -> bool:
        """Whether the key grows: named columns do, and so does a number that the server counts up."""
        key = self._selection.key
        if key is None or self.settings.incremental:
            return key is not None
        return len(key.columns) == 1 and key.columns[0].key_kind == "number"

    def _cannot_tell(self) -> ConfigError:
        found = self._selection
        return ConfigError(
            f"Nobody can tell which rows of {found.table.label} are new",
            expected="`incremental`: columns that only grow, such as the time of the last change",
            known=[column.name for column in found.table.columns],
            hint="Add `key` where the table has none of its own",
        )


class _Fetch:
    """Fetches a job's rows, without a look at dates as long as all are dates."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._trusts_dates = engine.refuses_dates

    def __call__(self, job: Job) -> pa.Table:
        if self._trusts_dates:
            try:
                return self._engine.fetch(job.plain)
            except CorruptDataError:
                # Where one is wrong there are mostly more, and each costs a read and connectorx's lines on stderr.
                self._trusts_dates = False
        return self._engine.fetch(job.statement)


def _warn(why: str) -> None:
    LOG.warning("Rows come through mysql-connector-python in pure Python, three times slower: %s", why)
