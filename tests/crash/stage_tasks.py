"""Any stage, as a function of a JSON-able request."""

from __future__ import annotations

from typing import Any

from aimass.core.compute.local import LocalCompute, LocalSettings
from aimass.core.deps import Runtime
from aimass.core.failpoints import Failpoints, NoFailpoints
from aimass.core.progress import SilentProgress
from aimass.core.stages import STAGES
from aimass.core.testing.failpoints import KillAt, RecordingFailpoints

# Imported once, by the common ancestor of all tasks.
for _name in STAGES.names():
    STAGES.load(_name).preload()


def run_stage(request: dict[str, Any]) -> Any:
    """Run the stage that the request names; a kill is part of it."""
    return _run(request, KillAt(**request["kill"]) if request.get("kill") else NoFailpoints())


def run_and_record(request: dict[str, Any]) -> Any:
    """Run the stage, and return its result together with the names of the fail points that it passed."""
    recording = RecordingFailpoints()
    return {"result": _run(request, recording), "points": recording.names}


def _run(request: dict[str, Any], failpoints: Failpoints) -> Any:
    compute = LocalCompute(LocalSettings())
    runtime = Runtime.model_validate(request["runtime"])
    return compute.run(request["stage"], request["config"], runtime, progress=SilentProgress(), failpoints=failpoints)
