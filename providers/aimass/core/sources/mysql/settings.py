"""What is read from MySQL, and how."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aimass.core import settings
from aimass.core.settings import OUTSIDE_KEY, ConnectionId
from aimass.core.sources.mysql.engines import EngineName


class MySqlSettings(settings.Settings):
    """A table or a query."""

    conn_id: ConnectionId = Field(default="aimass_mysql", description="The connection to the server.")
    table: str | None = Field(
        default=None, min_length=1, description="The table or view, with its schema where it is not the connection's."
    )
    query: str | None = Field(default=None, min_length=1, description="A SELECT to read instead of a table.")
    columns: tuple[str, ...] | None = Field(default=None, description="Only these columns, in this order.")
    where: str | None = Field(default=None, min_length=1, description="Only rows of which this SQL condition holds.")
    key: tuple[str, ...] = Field(
        default=(),
        description="Columns that together tell rows apart; the table's own key if empty. A query has none of its own.",
    )
    incremental: tuple[str, ...] = Field(
        default=(),
        description="Columns that only grow, such as a number or the time of the last change, by which new rows are "
        "told; the key if empty, where it is one whole number.",
    )
    lookback: float | None = Field(
        default=None,
        ge=0,
        description="How far below the newest row others may still be committed: seconds where the first incremental "
        "column is a time, else a number of ids. 300 s or 10,000 ids if empty.",
    )
    max_ahead_s: Annotated[float, OUTSIDE_KEY] = Field(
        default=86_400,
        ge=0,
        description="How many seconds an incremental time may be ahead of the server's clock (UTC) before it is an "
        "error: one wrong clock would hide all rows up to then.",
    )
    on_shrink: Annotated[Literal["error", "ignore"], OUTSIDE_KEY] = Field(
        default="error",
        description="What an incremental read does when the rows it ended with are gone, as after TRUNCATE.",
    )
    consistency: Literal["partitioned", "snapshot"] = Field(
        default="partitioned",
        description="partitioned: key range by key range, several at a time, each as it is at its moment. snapshot: "
        "all rows as they were at one moment, by one reader in one transaction; a retry begins anew.",
    )
    zero_dates: Literal["reject", "null", "error"] = Field(
        default="reject",
        description="What becomes of dates such as 0000-00-00: the row is kept aside, the value is null, or the read "
        "fails.",
    )
    engine: Annotated[EngineName, OUTSIDE_KEY] = Field(
        default="auto",
        description="The client library. auto: connectorx where it is installed; a snapshot and a table without a key "
        "are read by connector (mysql-connector-python), which is three times slower.",
    )
    readers: Annotated[int, OUTSIDE_KEY] = Field(
        default=2, ge=1, le=32, description="How many connections read at a time."
    )

    @property
    def not_consistent(self) -> str | None:
        """What to set for the rows of one moment; None where it is set."""
        return None if self.consistency == "snapshot" else "set `consistency: snapshot` in `source`"

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("either `table` or `query` is needed")
        if self.consistency == "snapshot" and self.engine == "connectorx":
            raise ValueError("engine connectorx opens a connection for each statement and sees no snapshot: use auto")
        return self
