"""The tasks of a search, as functions of a JSON-able request."""

from __future__ import annotations

from typing import Any

import sklearn.linear_model
import sklearn.metrics
import sklearn.tree  # noqa: F401 - imported once, by the common ancestor of all tasks

import aimass.core.search.tpe  # noqa: F401 - idem
from aimass.core.deps import Deps, Runtime
from aimass.core.stages.optimize import STAGE, OptimizeConfig, plan, work
from aimass.core.testing.failpoints import KillAt


def surroundings(request: dict[str, Any]) -> tuple[OptimizeConfig, Deps]:
    """Return the configuration and the surroundings; a kill is part of them."""
    runtime = Runtime(store=request["store"], project=request["project"], tracking_uri="memory://crash")
    kill = {"failpoints": KillAt(**request["kill"])} if request.get("kill") else {}
    return OptimizeConfig.model_validate(request["config"]), Deps.from_runtime(runtime, **kill)


def plan_task(request: dict[str, Any]) -> Any:
    """Plan a round."""
    return plan(*surroundings(request), request["round"])


def work_task(request: dict[str, Any]) -> Any:
    """Work on one share of a round."""
    return work(*surroundings(request), request["assignment"])


def end_task(request: dict[str, Any]) -> Any:
    """End the search."""
    return STAGE.run(*surroundings(request)).model_dump(mode="json")
