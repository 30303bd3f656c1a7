"""An incremental read, as a function of a JSON-able request."""

from __future__ import annotations

from typing import Any

from aimass.core import datasets
from aimass.core.deps import Deps, Runtime
from aimass.core.errors import TransientError
from aimass.core.sources import SOURCES
from aimass.core.stages import ingest_earlier
from aimass.core.stages.ingest import STAGE
from aimass.core.testing.failpoints import KillAt

STAGE.preload()


def ingest_task(request: dict[str, Any]) -> Any:
    """Read what is new; return the result, or ``{"error": …}`` where trying again later may help."""
    datasets.ROWS_PER_CHECKPOINT = request["rows_per_checkpoint"]
    ingest_earlier.MANY_PARTS = 8
    for name, address in request.get("sources", {}).items():
        SOURCES.register(name, address)
    kill = {"failpoints": KillAt(**request["kill"])} if request.get("kill") else {}
    deps = Deps.from_runtime(Runtime.model_validate(request["runtime"]), **kill)
    try:
        return STAGE.run(STAGE.parse(request["config"]), deps).model_dump(mode="json")
    except TransientError as error:
        return {"error": str(error)}
