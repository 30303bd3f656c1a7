"""What the registry asks for, what a server serves, and what its processes tell each other, as plain documents."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

State = Literal["active", "deprecated", "draining", "archived"]


class VersionRef(msgspec.Struct, frozen=True):
    """One version as the registry has it."""

    digest: str
    """sha256 of its model.onnx."""
    state: State = "active"
    """What the registry says of it: archived ones are not served, deprecated and draining ones with a warning."""


class ModelEntry(msgspec.Struct, frozen=True):
    """One model: in a desired table what the registry asks for, in a served table what requests are answered by."""

    project: str
    """The pipeline that releases it."""
    aliases: dict[str, str]
    """Number of the version that each alias points at."""
    versions: dict[str, VersionRef]
    """By number; in a served table those in memory."""
    traffic: dict[str, float] = {}
    """Share of each alias among requests that name neither version nor alias; empty: all to the default alias."""
    columns: list[str] = []
    """Raw columns of every version that the server has seen: a row may hold them, whichever version answers."""
    failed: dict[str, str] = {}
    """In a served table, why versions that are asked for are not in memory."""


class Table(msgspec.Struct, frozen=True):
    """All models of one generation."""

    generation: int = 0
    models: dict[str, ModelEntry] = {}
    not_ready: str = ""
    """Why the server should get no requests yet; empty where it is ready."""


class LoadOrder(msgspec.Struct, frozen=True):
    """A worker is told to have a version in memory."""

    model: str
    version: str
    digest: str
    folder: str
    """Where its files are."""
    project: str = ""
    """The pipeline that releases it."""


class Preparation(msgspec.Struct, frozen=True):
    """A worker is told what the next table is, and what must be in memory for it."""

    table: Table
    orders: list[LoadOrder]


class Loaded(msgspec.Struct, frozen=True):
    """What a worker says of a version that it has loaded and warmed."""

    memory_bytes: int
    columns: list[str]
    """Its raw columns."""
    classes: list[str]
    """Spellings of the labels 0 and 1."""


class VersionUse(msgspec.Struct, frozen=True):
    """How much one version was asked since its worker started."""

    requests: int = 0
    last_at: float = 0.0
    """Seconds since 1970; 0 for never."""
    callers: dict[str, int] = {}
    """Requests by name of their token."""


class StartOrder(msgspec.Struct, frozen=True):
    """What a worker is started with."""

    slot: int
    """Its place among the workers."""
    config: dict[str, Any]
    """The options, as JSON."""
    started_at: datetime
    """When the server started (UTC)."""
    listener: int
    """File descriptor of its socket."""
    generation: int
    """File descriptor of the shared number."""
    grpc_port: int | None = None
    """Port of gRPC; None for none."""
    journal_folder: str = ""
    """Where its journals lie; empty keeps no prediction log."""
    metrics_folder: str = ""
    """Where the workers write their metrics."""


class Report(msgspec.Struct, frozen=True):
    """What a worker has done since it started."""

    uses: list[tuple[str, str, VersionUse]]
    """By model and version."""
    queue_rows: int
    """Rows that wait now."""
    models: dict[str, dict[str, Any]]
    """Counters by model, see `Metrics.snapshot`."""
    dropped_rows: int
    """Rows that found no room in the prediction log."""
