"""When a pipeline runs: by the clock, or whenever one of its sources has new data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAny, AssetWatcher, CronTriggerTimetable
from airflow.sdk.exceptions import AirflowTimetableInvalid

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

    return AssetAny(
        *(
            Asset(
                name=f"{pipeline.name}.new.{section.config['name']}",
                uri=f"{SCHEME}://{pipeline.name}/new/{section.config['name']}",
                watchers=[
                    AssetWatcher(
                        name=section.config["name"],
                        trigger=NewDataTrigger(config=section.config, project=pipeline.name),
                    )
                ],
            )
            for section in pipeline.ingests()
        )
    )


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
