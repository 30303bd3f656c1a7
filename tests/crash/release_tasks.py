"""Putting a model into use, as a function of a JSON-able request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.pyfunc
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 - imported once, by the common ancestor of all tasks

from aimass.core.deps import Deps, Runtime
from aimass.core.release.promotion import open_registry, promote
from aimass.core.testing.failpoints import KillAt
from aimass.core.testing.model_registry_contract import tiny_package


def promote_task(request: dict[str, Any]) -> Any:
    """Register the package with the request's bias and point the alias at it; return the version."""
    runtime = Runtime(store=request["store"], project="crash", run_id="run-1", principal="tester")
    kill = {"failpoints": KillAt(**request["kill"])} if request.get("kill") else {}
    deps = Deps.from_runtime(runtime, **kill)
    package = tiny_package(Path(request["folder"]), request["name"], request["bias"])
    done = promote(open_registry({"type": "mlflow"}, deps), deps, package, alias="champion", why="a crash test")
    return done.version.version
