"""What a running inference server can be asked for by operators, sensors and pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

from aimass.core import settings
from aimass.core.endpoints.status import MetricSample, ServerStatus, ShadowReport


class LateLabel(BaseModel):
    """What a prediction should have been, told later."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request_id: str = Field(description="The request that asked for the prediction.")
    row: int = Field(default=0, ge=0, description="Place of the row in that request.")
    label: str | int | float | bool = Field(description="The true class, as the training data spells it, or 0 and 1.")


class Endpoint(Protocol):
    """One server. Constructed as ``Backend(settings)``.

    Every method raises UnreachableError, within bounded time, where the server does not answer, NotAllowedError where
    it refuses the token, and NotFoundError where it knows no such model or version.
    """

    Settings: ClassVar[type[settings.Settings]]

    def __init__(self, settings: Any) -> None: ...

    def is_ready(self) -> bool:
        """Return whether the server takes requests; False, too, where it does not answer."""

    def status(self) -> ServerStatus:
        """Return what the server serves."""

    def sync(self) -> ServerStatus:
        """Have the server look at the registry now; return what it serves once it has acted on what it saw."""

    def load(self, model: str, version: str) -> ServerStatus:
        """Have a version in memory, warm; return once it is, or has failed."""

    def unload(self, model: str, version: str) -> ServerStatus:
        """Drain a version that no alias points at, and take it out of memory."""

    def shadow(self, model: str, version: str, *, rows: int = 200) -> ShadowReport:
        """Try a version on the server's most recent requests, beside what was answered then."""

    def samples(self, since: datetime | None = None) -> list[MetricSample]:
        """Return what the server measured after `since`, oldest first; it keeps a day."""

    def predict(self, model: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the answer to rows given as objects, as ``POST /predict/<model>`` gives it."""

    def label(self, model: str, labels: Sequence[LateLabel]) -> None:
        """Tell what predictions should have been."""
