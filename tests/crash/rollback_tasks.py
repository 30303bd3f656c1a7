"""A rollback by its operator, as a function of a JSON-able request."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aimass.core.deps import Deps, Runtime
from aimass.core.failpoints import Failpoints
from aimass.core.release.promotion import open_registry, promote
from aimass.core.testing.endpoints_contract import served_package
from aimass.core.testing.failpoints import KillAt, RecordingFailpoints
from aimass.operators.rollback import RollbackOperator

PROJECT = "crash"
SERVER = {"type": "memory", "registry": {"type": "mlflow"}}

_armed: list[Failpoints] = []


def armed() -> Failpoints:
    """Return the fail points of this process; named in ``[aimass] failpoints``."""
    return _armed[-1]


def release_task(request: dict[str, Any]) -> Any:
    """Release three versions of each of the request's models, one after the other."""
    runtime = Runtime(store=request["store"], project=PROJECT, tracking_uri=request["tracking_uri"])
    deps = Deps.from_runtime(runtime)
    registry = open_registry({"type": "mlflow"}, deps)
    for run, bias in enumerate((0.25, 0.5, 0.75)):
        own = replace(deps, runtime=deps.runtime.model_copy(update={"run_id": f"release-{run}"}))
        for name in request["names"]:
            package = served_package(Path(request["folder"]), name, bias)
            promote(registry, own, package, alias="champion", why="released")


def rollback_task(request: dict[str, Any]) -> Any:
    """Roll the model back as one try of a task does; return the result and the fail points that were passed."""
    points = RecordingFailpoints()
    _armed.append(KillAt(**request["kill"]) if request.get("kill") else points)
    os.environ["AIRFLOW__AIMASS__FAILPOINTS"] = "tests.crash.rollback_tasks:armed"
    connections = {
        "store": {"root": request["store"]},
        "mlflow": {"tracking_uri": request["tracking_uri"]},
        "serving": {**SERVER, "store": request["store"], "tracking_uri": request["tracking_uri"]},
    }
    for name, extra in connections.items():
        document = {"conn_type": f"aimass_{name}", "extra": extra}
        os.environ[f"AIRFLOW_CONN_AIMASS_{name.upper()}"] = json.dumps(document)
    run = SimpleNamespace(dag_id="aimass_rollback", run_id=request["name"], conf={}, triggering_user_name="ada")
    context: Any = {"dag_run": run, "ti": SimpleNamespace(xcom_push=lambda key, value: None), "params": {}}
    task = RollbackOperator(task_id="back", request={"model": request["name"], "why": "a crash test"})
    return {"result": task.execute(context), "points": points.names}
