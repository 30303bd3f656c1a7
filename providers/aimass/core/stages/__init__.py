"""The verbs of a pipeline, one file each."""

from __future__ import annotations

from typing import Any

from aimass.core.registry import Registry
from aimass.core.stages.base import Stage

STAGES: Registry[Stage[Any, Any]] = Registry(
    "stage",
    {
        "ingest": "aimass.core.stages.ingest:STAGE",
        "ingest_plan": "aimass.core.stages.ingest_parts:PLAN",
        "ingest_gather": "aimass.core.stages.ingest_parts:GATHER",
        "join": "aimass.core.stages.join:STAGE",
        "split": "aimass.core.stages.split:STAGE",
        "explore": "aimass.core.stages.explore:STAGE",
        "validate": "aimass.core.stages.validate:STAGE",
        "clean": "aimass.core.stages.clean:STAGE",
        "featurize": "aimass.core.stages.featurize:STAGE",
        "train": "aimass.core.stages.train:STAGE",
        "evaluate": "aimass.core.stages.evaluate:STAGE",
        "optimize": "aimass.core.stages.optimize:STAGE",
        "optimize_plan": "aimass.core.stages.optimize_tasks:PLAN",
        "optimize_work": "aimass.core.stages.optimize_tasks:WORK",
        "release": "aimass.core.stages.release:STAGE",
        "monitor": "aimass.core.stages.monitor:STAGE",
        "rollback": "aimass.core.stages.rollback:STAGE",
        "predict": "aimass.core.stages.predict:STAGE",
        "export": "aimass.core.stages.export:STAGE",
    },
)
