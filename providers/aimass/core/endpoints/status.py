"""What an inference server says about itself; the server writes these documents, everybody else reads them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

VersionState = Literal["loading", "ready", "draining", "failed"]


class _Document(BaseModel):
    # A server may be newer than its reader: what the reader does not know is left aside.
    model_config = ConfigDict(frozen=True, extra="ignore")


class ServedVersion(_Document):
    """One version of a model in the memory of a server."""

    version: str = Field(description="Its number in the registry.")
    digest: str = Field(description="sha256 of its model.onnx.")
    state: VersionState = Field(description="loading, ready, draining (no new requests) or failed.")
    error: str = Field(default="", description="Why it failed; empty where it did not.")
    loaded_at: datetime | None = Field(default=None, description="When it became ready (UTC).")
    memory_bytes: int = Field(default=0, description="What it is counted with in the memory budget, per worker.")
    pinned: bool = Field(default=False, description="Whether it stays in memory whatever the budget says.")
    requests: int = Field(default=0, description="Requests answered since the server started.")
    last_request_at: datetime | None = Field(default=None, description="When it last answered (UTC).")
    callers: dict[str, int] = Field(
        default_factory=dict, description="The same requests by name of their token; empty where nobody needs one."
    )


class ServedModel(_Document):
    """One model of a server."""

    name: str = Field(description="Name in the registry.")
    aliases: dict[str, str] = Field(default_factory=dict, description="The version that each alias answers with now.")
    traffic: dict[str, float] = Field(
        default_factory=dict, description="Share of the requests without a version that each alias gets; sums to 1."
    )
    versions: list[ServedVersion] = Field(default_factory=list, description="What is in memory, or failed to be.")
    alarm: str = Field(
        default="", description="Why the server does not serve what the registry asks for; empty where it does."
    )

    def named(self, version: str) -> ServedVersion | None:
        """Return the version with that number, or None."""
        return next((each for each in self.versions if each.version == version), None)


class WorkerStatus(_Document):
    """One process that answers requests."""

    pid: int = Field(description="Its process.")
    started_at: datetime = Field(description="When it started (UTC).")
    cpu_s: float = Field(default=0.0, description="CPU seconds used so far.")
    rss_bytes: int = Field(default=0, description="Resident memory.")
    read_bytes: int = Field(default=0, description="Bytes read from disk so far.")
    write_bytes: int = Field(default=0, description="Bytes written to disk so far.")
    queue_rows: int = Field(default=0, description="Rows that wait now.")


class RegistryStatus(_Document):
    """Whether the server can see the registry."""

    reachable: bool = Field(description="Whether the last look succeeded.")
    checked_at: datetime | None = Field(default=None, description="When it last looked (UTC).")
    error: str = Field(default="", description="Why the last look failed; empty where it did not.")


class ServerStatus(_Document):
    """A server as it stands."""

    server_id: str = Field(description="Name of the server, such as host and port.")
    started_at: datetime = Field(description="When it started (UTC).")
    generation: int = Field(description="Number of switches so far; all workers of a server are at the same one.")
    draining: bool = Field(default=False, description="Whether it is about to stop.")
    registry: RegistryStatus = Field(description="Its view of the registry.")
    models: list[ServedModel] = Field(default_factory=list, description="Its models, by name.")
    workers: list[WorkerStatus] = Field(default_factory=list, description="Its worker processes.")

    def model(self, name: str) -> ServedModel | None:
        """Return the model called `name`, or None."""
        return next((each for each in self.models if each.name == name), None)


class ShadowReport(_Document):
    """A version tried on recent requests, beside the version that answered them."""

    model: str = Field(description="Name of the model.")
    version: str = Field(description="The version that was tried.")
    against: str = Field(description="The version that answered the requests; empty where there were none.")
    rows: int = Field(description="Rows that were tried.")
    failed_rows: int = Field(default=0, description="Rows that the tried version could not answer, or answered NaN.")
    mean_abs_diff: float = Field(default=0.0, description="Mean difference of the probabilities.")
    max_abs_diff: float = Field(default=0.0, description="Greatest difference of the probabilities.")
    label_changes: int = Field(default=0, description="Rows whose labels differ.")
    p50_ms: float = Field(default=0.0, description="Median time of one row, in ms.")
    p99_ms: float = Field(default=0.0, description="99th percentile of one row, in ms.")
    source: Literal["recent", "example"] = Field(
        default="recent", description="recent requests, or the version's own example where there were none."
    )
    ok: bool = Field(description="Whether the version may take over.")
    reasons: list[str] = Field(default_factory=list, description="Why it may not; empty where it may.")


class ModelSample(_Document):
    """What one model did during one interval."""

    requests: int = Field(default=0, description="Requests answered.")
    errors: int = Field(default=0, description="Requests answered with a 4xx or 5xx status, or their gRPC like.")
    rows: int = Field(default=0, description="Rows scored.")
    p50_ms: float | None = Field(default=None, description="Median latency in ms, as far as the histogram tells.")
    p99_ms: float | None = Field(default=None, description="99th percentile of the latency in ms.")
    versions: dict[str, int] = Field(default_factory=dict, description="Requests by version.")


class MetricSample(_Document):
    """What a server did during one interval."""

    at: datetime = Field(description="End of the interval (UTC).")
    interval_s: float = Field(description="Its length in seconds.")
    server_id: str = Field(default="", description="The server.")
    cpu_share: float = Field(default=0.0, description="CPU seconds of all workers per second.")
    rss_bytes: int = Field(default=0, description="Resident memory of all workers at the end.")
    read_bytes: int = Field(default=0, description="Bytes read from disk by all workers in the interval.")
    write_bytes: int = Field(default=0, description="Bytes written to disk by all workers in the interval.")
    queue_rows: int = Field(default=0, description="Rows waiting at the end.")
    models: dict[str, ModelSample] = Field(default_factory=dict, description="By name of the model.")
