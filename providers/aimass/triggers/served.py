"""Waiting until every server serves what it should."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from aimass.core.endpoints.base import Endpoint
from aimass.core.endpoints.status import ServedModel
from aimass.core.errors import AimassError
from aimass.hooks.serving import endpoints_of
from aimass.triggers.base import Condition, Look


class Served(Condition):
    """Every server is ready and, where a model is named, answers with it."""

    serving_conn_ids: list[str] = Field(min_length=1, description="Connections of the servers.")
    model: str | None = Field(default=None, description="The model; whether the servers are ready when empty.")
    alias: str | None = Field(default=None, description="The alias that must answer.")
    version: str | None = Field(
        default=None, description="The version that must answer, by `alias` where there is one."
    )

    def look(self) -> Look:
        """Ask every server."""
        lacking = {
            name: lack for name, server in endpoints_of(self.serving_conn_ids).items() if (lack := self._lack(server))
        }
        told = "; ".join(f"{name}: {lack}" for name, lack in lacking.items())
        return Look(not lacking, told or "every server serves it", {"servers": self.serving_conn_ids})

    def _lack(self, server: Endpoint) -> str:
        """Return what `server` lacks, or nothing."""
        try:
            if not server.is_ready():
                return "is not ready"
            if self.model is None:
                return ""
            served = server.status().model(self.model)
        except AimassError as error:
            return str(error)
        return f"does not serve {self.model}" if served is None else "; ".join(self._lacks(served))

    def _lacks(self, served: ServedModel) -> Iterator[str]:
        answers = served.aliases.get(self.alias) if self.alias is not None else self.version
        if self.alias is not None and answers is None:
            yield f"{self.alias} answers with no version"
        elif self.version is not None and answers != self.version:
            yield f"{self.alias} answers with version {answers}, not {self.version}"
        elif answers is not None and ((found := served.named(answers)) is None or found.state != "ready"):
            yield f"version {answers} is {found.state if found else 'not in memory'}"
        else:
            return
        if served.alarm:
            yield served.alarm
