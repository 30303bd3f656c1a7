"""What a stage needs besides its configuration: where to store, whom to ask, whom to tell."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from aimass.core.access import Access, AllowAll, ReadRequest
from aimass.core.connections import C, find_connection, sealed
from aimass.core.failpoints import Failpoints, NoFailpoints
from aimass.core.progress import Progress, SilentProgress
from aimass.core.storage import Store, text_digest


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class Runtime(BaseModel):
    """The surroundings of a stage as data: what a pod or a Spark job is given to rebuild its `Deps`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: str = Field(description="URI of the folder under which datasets and artifacts are written.")
    storage_options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="fsspec options by URI prefix, such as endpoints."
    )
    project: str = Field(default="default", description="The pipeline that outputs belong to.")
    run_id: str = Field(default="manual", description="The run under which source positions are pinned.")
    principal: str = Field(default_factory=getpass.getuser, description="Who reads, as the access policy knows them.")
    tracking_uri: str | None = Field(
        default=None, description="MLflow tracking server or database; an SQLite file in a local store when empty."
    )
    registry_uri: str | None = Field(default=None, description="MLflow model registry; the tracking URI when empty.")
    tracking_token: SecretStr | None = Field(default=None, description="Bearer token for the tracking server.")
    study_storage: str | None = Field(
        default=None, description="SQLAlchemy URL for hyper-parameter studies; a SQLite file in the store when empty."
    )
    spool_dir: str | None = Field(default=None, description="Local folder for staging and caching remote files.")
    connections: dict[str, SecretStr] = Field(
        default_factory=dict, description="What reaches a server, by connection id: a mapping of fields, or its JSON."
    )

    @field_validator("connections", mode="before")
    @classmethod
    def _seal(cls, value: Any) -> Any:
        return {name: sealed(document) for name, document in value.items()} if isinstance(value, dict) else value


@dataclass(frozen=True)
class Deps:
    """The running stage's surroundings.

    Attributes
    ----------
    store : Store
        Where datasets and artifacts live.
    runtime : Runtime
        The same as data; names the tracking server, the run and the project.
    access : Access
        Asked before every read.
    clock : callable
        Returns the current time in UTC; tests turn it.
    progress : Progress
        Told how far the stage has come.
    failpoints : Failpoints
        Passed at each dangerous moment; does nothing outside crash tests.
    purpose : str
        Name of the running stage, for the access policy.
    """

    store: Store
    runtime: Runtime
    access: Access = field(default_factory=AllowAll)
    clock: Callable[[], datetime] = utc_now
    progress: Progress = field(default_factory=SilentProgress)
    failpoints: Failpoints = field(default_factory=NoFailpoints)
    purpose: str = "report"

    @classmethod
    def from_runtime(cls, runtime: Runtime, **others: Any) -> Deps:
        """Build the dependencies that `runtime` describes; `others` replaces single fields."""
        store = Store(runtime.store, options=runtime.storage_options, spool_dir=runtime.spool_dir)
        return cls(store=store, runtime=runtime, **others)

    @property
    def project(self) -> str:
        """The pipeline that outputs belong to."""
        return self.runtime.project

    @property
    def principal(self) -> str:
        """Who reads."""
        return self.runtime.principal

    def connection(self, conn_id: str, model: type[C]) -> C:
        """Return the connection `conn_id` as `model`; raises NotFoundError, ConfigError."""
        return find_connection(self.runtime.connections, conn_id, model)

    def with_purpose(self, purpose: str) -> Deps:
        """Return the same surroundings for another stage."""
        return replace(self, purpose=purpose)

    def check_read(self, resource: str, columns: Sequence[str] | None = None) -> None:
        """Ask the access policy for a read; every read of a source or dataset passes here."""
        request = ReadRequest(self.principal, self.purpose, resource, tuple(columns or ()))
        self.access.check(request)

    def note_use(self, uri: str) -> None:
        """Note that this run uses the output at `uri`, so that garbage collection leaves it alone; "" is no output."""
        if not uri:
            return
        name = f"{text_digest(uri)[:16]}.json"
        record = self.store.folder(self.project, "runs", safe_name(self.runtime.run_id), "uses", name)
        if not self.store.exists(record):
            self.store.publish_once(record, json.dumps({"uri": uri}).encode())

    def pin(self, name: str, value: Callable[[], Any]) -> Any:
        """Return what the first caller of this run got for `name`; so a retry sees what the first attempt saw.

        The value (JSON-able) is kept in the store under the run's id.
        """
        uri = self.store.folder(self.project, "runs", safe_name(self.runtime.run_id), f"{safe_name(name)}.json")
        if not self.store.exists(uri):
            self.store.publish_once(uri, json.dumps({"value": value()}, ensure_ascii=False).encode())
        pinned: Mapping[str, Any] = self.store.read_json(uri)
        return pinned["value"]


def safe_name(text: str) -> str:
    """Return `text` as a file name: letters, digits, dot, dash and underscore, anything else as ``_``."""
    return "".join(char if char.isalnum() or char in "._-" else "_" for char in text)
