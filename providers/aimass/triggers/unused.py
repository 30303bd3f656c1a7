"""Waiting until nobody asks for a version any more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import Field

from aimass.hooks.runtime import build_runtime
from aimass.hooks.serving import endpoints_of
from aimass.triggers.base import Condition, Look


class Unused(Condition):
    """Every server says that nobody has asked for the version for a while."""

    model: str = Field(min_length=1, description="The model.")
    version: str = Field(min_length=1, description="The version.")
    grace_minutes: float = Field(default=60, ge=0, description="For how long nobody must have asked.")
    serving_conn_ids: list[str] = Field(min_length=1, description="Connections of the servers.")
    store_conn_id: str = Field(default="aimass_store", description="Connection of the store.")
    tracking_conn_id: str = Field(default="aimass_mlflow", description="Connection of the tracking server.")
    registry: dict[str, Any] = Field(default={"type": "mlflow"}, description="The model registry.")

    def look(self) -> Look:
        """Ask registry, servers and prediction log who uses the version."""
        from aimass.core.deps import Deps
        from aimass.core.release.promotion import open_registry
        from aimass.core.release.retirement import usage

        runtime = build_runtime(store_conn_id=self.store_conn_id, tracking_conn_id=self.tracking_conn_id)
        deps = Deps.from_runtime(runtime)
        servers = endpoints_of(self.serving_conn_ids)
        found = usage(open_registry(self.registry, deps), deps, servers, self.model, self.version)
        idle = found.is_idle(deps.clock(), timedelta(minutes=self.grace_minutes))
        return Look(idle, "; ".join(map(str, found.lines())), found.model_dump(mode="json"))
