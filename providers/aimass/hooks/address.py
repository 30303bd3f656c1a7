"""The address of a server that a connection names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Connection


def address_of(connection: Connection, *, scheme: str = "http") -> str | None:
    """Return the address in host, port and schema (`scheme` where it is empty); None where there is no host."""
    if not connection.host or "://" in connection.host:
        return connection.host
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or scheme}://{connection.host}{port}"
