"""What the request side of a worker is given: a table of models, a journal, and a way to ask the supervisor.

The request side (REST in `app`, gRPC in `grpc_server`) knows these Protocols only; `aimass.serving.table`, `journal`
and `control` are the real ones, `aimass.serving.testing` has in-process fakes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from aimass.serving.config import ServeConfig

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from aimass.core.endpoints.status import VersionState
    from aimass.core.features.row_encoder import Block
    from aimass.serving.loaded import LoadedModel


class Resolved(NamedTuple):
    """The version that answers one request. A request resolves once and holds on to what it got."""

    loaded: LoadedModel
    alias: str
    """The alias that led to it; empty where the request named a version."""
    deprecated: bool = False
    """Whether the answer says so."""


class IndexEntry(NamedTuple):
    """One version in the repository index."""

    model: str
    version: str
    state: VersionState
    reason: str = ""
    """Why it is in that state, where that is not `ready`."""


class ModelTable(Protocol):
    """Which version answers which request, as the worker has it in memory now."""

    def resolve(
        self, model: str, *, version: str | None = None, alias: str | None = None, route_key: str = ""
    ) -> Resolved:
        """Return the version in memory that answers; a dictionary lookup or two.

        A request that names neither version nor alias goes by the model's traffic weights, sticky by `route_key`.

        Raises
        ------
        ModelNotFoundError
            No such model is served.
        VersionNotFoundError
            It has no such version or alias.
        NotLoadedError
            The version is known, but not in memory: await `ensure`.
        """

    async def ensure(
        self, model: str, *, version: str | None = None, alias: str | None = None, route_key: str = ""
    ) -> Resolved:
        """Do the same, and load and warm the version first where need be; others are served meanwhile.

        Raises what `resolve` raises, and UnavailableError where it cannot be loaded. The caller bounds the time.
        """

    def names(self) -> list[str]:
        """Return the names of the models served, sorted."""

    def index(self) -> list[IndexEntry]:
        """Return every version in memory, coming or failed."""

    def known_columns(self, model: str) -> frozenset[str]:
        """Return the raw columns of every version of the model that the server has seen, in memory or not.

        A row may hold a column that only another version knows: clients that send a new version's column must go on
        being answered after a rollback to one without it. A dictionary lookup.
        """

    def not_ready(self) -> str:
        """Return why the server should get no requests yet (or no more); empty where it is ready."""


class PredictionRecord(NamedTuple):
    """One answered request, as the journal takes it."""

    resolved: Resolved
    request_id: str
    at: float
    """When it was asked, in seconds since 1970."""
    latency_ms: float
    """From the first byte read to the answer."""
    block: Block
    """The request's rows in canonical form."""
    probability: npt.NDArray[np.float32]
    """Shape (n_rows,)."""
    label: npt.NDArray[np.int64]
    """Shape (n_rows,), 0 or 1."""


class Journal(Protocol):
    """Takes answered requests on their way to the prediction log, and into the ring that shadow checks try."""

    def append(self, record: PredictionRecord) -> None:
        """Note a request just before its answer is sent. Cheap, and never raises: what finds no room is counted.

        The memory of the record's block may be used anew as soon as this returns.
        """


class Control(Protocol):
    """The way from a worker to the supervisor; what ``/aimass/…`` asks for goes here.

    Methods, their params and answers (JSON-able):

    - ``status`` {} → ServerStatus
    - ``samples`` {"since": ISO 8601 or null} → [MetricSample]
    - ``sync`` {} → ServerStatus
    - ``load``, ``unload`` {"model", "version"} → ServerStatus
    - ``shadow`` {"model", "version", "rows"} → ShadowReport
    - ``labels`` {"model", "labels": [LateLabel]} → {"accepted": int}
    """

    def call(self, method: str, params: Mapping[str, Any]) -> Awaitable[Any]:
        """Ask; raises what the supervisor raised, as the error of the tree that it was."""


@dataclass
class WorkerContext:
    """Everything that the request side of one worker needs.

    Attributes
    ----------
    config : ServeConfig
        The options.
    table, journal, control
        See the Protocols.
    metrics_dir : str
        Folder that the workers of this server write their metrics into (`PROMETHEUS_MULTIPROC_DIR`); empty where
        there is one worker only.
    started_at : datetime or None
        When the server started (UTC).
    draining : bool
        Set when the worker is about to stop: requests in flight are answered, new ones get 503.
    """

    config: ServeConfig
    table: ModelTable
    journal: Journal
    control: Control
    metrics_dir: str = ""
    started_at: datetime | None = None
    draining: bool = field(default=False)
