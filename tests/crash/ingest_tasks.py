"""An incremental read, or one of the tasks that share it, as a function of a JSON-able request."""

from __future__ import annotations

import contextlib
import importlib
import logging
from typing import Any

from aimass.core import datasets
from aimass.core.deps import Deps, Runtime
from aimass.core.errors import MissingDependencyError, TransientError
from aimass.core.sources import SOURCES
from aimass.core.stages import STAGES, ingest_earlier
from aimass.core.testing.failpoints import KillAt

# What a read imports when it begins: it would spend most of its time on that. None of these starts threads.
READERS = ("kafka.cluster", "kafka.confluent_reader", "kafka.json_values", "kafka.rows", "hdfs.rpc", "hdfs.web")
LIBRARIES = (
    *("pandas", "upath.implementations.local", "encodings.idna", "connectorx", "pymongo.synchronous.auth"),
    *("hdfs_native", "requests", "fsspec.implementations.webhdfs", "obstore", "obs"),
    *("aimass.core.object_storage.client", "aimass.core.object_storage.faults", "aimass.core.object_storage.listing"),
)

for stage in ("ingest", "ingest_plan", "ingest_gather"):
    STAGES.load(stage)
for source in SOURCES.names():
    with contextlib.suppress(ImportError, MissingDependencyError):
        SOURCES.load(source)
for module in (*LIBRARIES, *(f"aimass.core.sources.{name}" for name in READERS)):
    with contextlib.suppress(ImportError):
        importlib.import_module(module)


def ingest_task(request: dict[str, Any]) -> Any:
    """Run the request's stage, ``ingest`` where it names none; return the result.

    Where trying again later may help it is ``{"error": …}``.
    """
    # What clients log about servers that are down on purpose helps nobody.
    logging.disable()
    datasets.ROWS_PER_CHECKPOINT = request["rows_per_checkpoint"]
    ingest_earlier.MANY_PARTS = 8
    for place, value in request.get("constants", {}).items():
        module, name = place.split(":")
        setattr(importlib.import_module(module), name, value)
    for name, address in request.get("sources", {}).items():
        SOURCES.register(name, address)
    kill = {"failpoints": KillAt(**request["kill"])} if request.get("kill") else {}
    deps = Deps.from_runtime(Runtime.model_validate(request["runtime"]), **kill)
    stage = STAGES.load(request.get("stage", "ingest"))
    try:
        return stage.run(stage.parse(request["config"]), deps).model_dump(mode="json")
    except TransientError as error:
        return {"error": str(error)}
