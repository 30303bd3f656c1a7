"""When a pipeline runs: by the clock, or whenever one of its sources has new data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAny, AssetWatcher, CronTriggerTimetable
from airflow.sdk.exceptions import AirflowTimetableInvalid

from aimass.core.errors import ConfigError
from aimass.hooks.options import option
from aimass.operators.assets import SCHEME

if TYPE_CHECKING:
    from aimass.pipelines.model import Pipeline

NEW_DATA = "@new_data"
PRESETS = (None, "@once", "@continuous")


def schedule_of(pipeline: Pipeline) -> Any:
    """Return the schedule of the pipeline's DAG."""
    if pipeline.schedule != NEW_DATA:
        return pipeline.schedule
    from aimass.triggers.follow import NewDataTrigger

    poll_s = new_data_poll_s()
    return AssetAny(
        *(
            Asset(
                name=f"{pipeline.name}.new.{section.config['name']}",
                uri=f"{SCHEME}://{pipeline.name}/new/{section.config['name']}",
                watchers=[
                    AssetWatcher(
                        name=section.config["name"],
                        trigger=NewDataTrigger(config=section.config, project=pipeline.name, poll_s=poll_s),
                    )
                ],
            )
            for section in pipeline.ingests()
        )
    )


def new_data_poll_s() -> float:
    """Return ``[aimass] new_data_poll_s``; raises ConfigError where it is no number of seconds."""
    from aimass.triggers.follow import DEFAULT_POLL_S

    given = option("new_data_poll_s") or DEFAULT_POLL_S
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ConfigError(f"[aimass] new_data_poll_s is {given!r}", expected="a number of seconds, such as 30")
    return seconds


def schedule_mistakes(schedule: str | None) -> list[tuple[str, str]]:
    """Return what is wrong with a schedule of the clock, by key."""
    if schedule in PRESETS:
        return []
    try:
        CronTriggerTimetable(schedule, timezone="UTC").validate()
    except AirflowTimetableInvalid as error:
        return [("schedule", f"{schedule!r} is neither a cron expression nor @hourly, @daily …: {error}")]
    return []


def pipeline_schedule_mistakes(pipeline: Pipeline) -> list[tuple[str, str]]:
    """Return what is wrong with a pipeline's schedule, by key."""
    if pipeline.schedule != NEW_DATA:
        return schedule_mistakes(pipeline.schedule)
    if pipeline.ingest.get("mode") == "incremental":
        return []
    return [("schedule", f"{NEW_DATA} is for incremental reads: add `ingest: {{mode: incremental}}`")]
