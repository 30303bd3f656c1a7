"""The same rows in every kind of server, and how Airflow's connections and the sources reach them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from tests.services.hadoop import hdfs_server
from tests.services.kafka import kafka_server
from tests.services.mariadb import mariadb_server
from tests.services.mongodb import mongodb_server
from tests.services.seaweedfs import seaweedfs

Row = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A table in a running server; its columns are ``id``, ``city`` and ``price``.

    Attributes
    ----------
    kind : str
        The type of its source.
    add : callable
        Adds rows.
    fields : mapping
        An Airflow connection's fields, those of every type.
    extra : mapping
        And those of our own type alone.
    standard : mapping
        The connection of the official provider's type.
    source : mapping
        The source's settings.
    """

    kind: str
    add: Callable[[Sequence[Row]], None]
    fields: Mapping[str, Any]
    standard: Mapping[str, Any]
    source: Mapping[str, Any]
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def conn_id(self) -> str:
        """What connection and type are called unless somebody says otherwise."""
        return f"aimass_{self.kind}"

    @property
    def ours(self) -> dict[str, Any]:
        """The connection of our own type."""
        return {"conn_type": self.conn_id, **self.fields, "extra": dict(self.extra)}

    def config(self, **more: Any) -> dict[str, Any]:
        """Return the configuration of an incremental ingest; `more` are settings of the source."""
        return {"name": "orders", "source": {"type": self.kind, **self.source, **more}, "mode": "incremental"}


@contextlib.contextmanager
def mysql(folder: Path, table: str = "orders") -> Iterator[Place]:
    """Yield a table of MySQL."""
    with mariadb_server(folder) as server:
        server.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, city VARCHAR(40), price DOUBLE)")

        def add(rows: Sequence[Row]) -> None:
            server.run(f"INSERT INTO {table} VALUES (%s, %s, %s)", rows=[[*row.values()] for row in rows])

        who = {"login": server.user, "password": server.password}
        fields = {"host": server.host, "port": server.port, "schema": server.database, **who}
        source = {"table": table, "incremental": ["id"]}
        yield Place("mysql", add, fields, {"conn_type": "mysql", **fields}, source, {"tls": "off"})


@contextlib.contextmanager
def mongodb(folder: Path, table: str = "orders") -> Iterator[Place]:
    """Yield a collection of MongoDB."""
    with mongodb_server(folder) as server, server.admin() as client:

        def add(rows: Sequence[Row]) -> None:
            client[server.database][table].insert_many([dict(row) for row in rows])

        given = server.connection()
        who = {"login": given["user"], "password": given["password"]}
        fields = {"host": given["host"], "port": given["port"], "schema": given["database"], **who}
        standard = {"conn_type": "mongo", **fields, "extra": {"authSource": given["auth_source"], "srv": False}}
        source = {"collection": table, "cursor": "_id"}
        yield Place("mongodb", add, fields, standard, source, {"auth_source": given["auth_source"]})


@contextlib.contextmanager
def kafka(folder: Path, table: str = "orders") -> Iterator[Place]:
    """Yield a topic of Kafka."""
    with kafka_server(folder) as server:
        server.create(table)

        def add(rows: Sequence[Row]) -> None:
            server.write(table, [json.dumps(row).encode() for row in rows])

        standard = {"conn_type": "kafka", "extra": {"bootstrap.servers": server.address, "group.id": "anybody"}}
        host, _, port = server.address.partition(",")[0].rpartition(":")
        yield Place("kafka", add, {"host": host, "port": int(port)}, standard, {"topics": [table]})


@contextlib.contextmanager
def hdfs(folder: Path, table: str = "orders") -> Iterator[Place]:
    """Yield a folder in HDFS."""
    with hdfs_server(folder) as server:

        def add(rows: Sequence[Row]) -> None:
            server.put(f"/lake/{table}/{rows[0]['id']}.csv", pl.DataFrame(rows).write_csv().encode())

        given = server.connection("webhdfs")
        fields = {"host": given["host"], "port": given["port"], "login": given["user"]}
        source = {"path": f"/lake/{table}/*.csv"}
        yield Place("hdfs", add, fields, {"conn_type": "webhdfs", **fields}, source, {"protocol": "webhdfs"})


@contextlib.contextmanager
def obs(folder: Path, table: str = "orders") -> Iterator[Place]:
    """Yield a folder of a bucket."""
    with seaweedfs(folder) as server:
        bucket = server.bucket("lake")

        def add(rows: Sequence[Row]) -> None:
            bucket.put(f"{table}/{rows[0]['id']}.csv", pl.DataFrame(rows).write_csv().encode())

        given = server.connection()
        host, _, port = given["endpoint"].rpartition(":")
        keys = {"login": given["access_key_id"], "password": given["secret_access_key"]}
        standard = {"conn_type": "aws", **keys, "extra": {"endpoint_url": given["endpoint"]}}
        extra = {name: given[name] for name in ("protocol", "addressing")}
        source = {"uri": f"obs://lake/{table}/*.csv"}
        yield Place("obs", add, {"host": host, "port": int(port), **keys}, standard, source, extra)


PLACES: Mapping[str, Callable[..., AbstractContextManager[Place]]] = {
    "mysql": mysql,
    "mongodb": mongodb,
    "kafka": kafka,
    "hdfs": hdfs,
    "obs": obs,
}
