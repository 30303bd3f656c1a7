"""Flights after those that the pipeline learns from: what is asked at each departure, and what is known on arrival."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from demo.home import REPOSITORY

PIPELINE = REPOSITORY / "include" / "pipelines" / "flights.yaml"
LATER_COLUMN = "dep_delay"
"""Minutes by which the plane left late: known at departure only, and worth more than all that is known before."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Flight:
    """One flight.

    Attributes
    ----------
    at : datetime
        Its scheduled departure (UTC).
    row : dict
        The raw columns of the pipeline, and `LATER_COLUMN`.
    late : bool
        How it ended.
    """

    at: datetime
    row: Row
    late: bool


def later_flights(folder: Path, *, every: int = 1) -> Iterator[Flight]:
    """Yield the flights of April to June in the order of their departures, joined by the pipeline's own stages.

    Parameters
    ----------
    folder : Path
        Where the stages put what they publish.
    every : int
        1 for all flights, 2 for every second one, …
    """
    import polars as pl

    from aimass.core.datasets import open_dataset
    from aimass.core.deps import Deps, Runtime
    from aimass.core.stages import STAGES
    from aimass.pipelines.load import load_pipeline

    pipeline = load_pipeline(PIPELINE)
    deps = Deps.from_runtime(Runtime(store=str(folder), project="traffic", run_id="traffic"), purpose="demo")
    ingest, join = STAGES.load("ingest"), STAGES.load("join")
    tables = {one.config["name"]: ingest.run(ingest.parse(one.config), deps).uri for one in pipeline.ingests()}
    written = next(section.config for section in pipeline.sections() if section.stage == "join")
    columns = [*(pipeline.columns or ()), LATER_COLUMN]
    later = {"tables": tables, "where": "month BETWEEN 4 AND 6", "columns": columns}
    joined = join.run(join.parse({**written, **later}), deps)
    # The tables know the hour of a departure; its minute is the end of 1455.
    minute = pl.col("sched_dep_time").mod(100).cast(pl.Int64)
    at = (pl.col("time_hour") + pl.duration(minutes=minute)).alias("at")
    frame = open_dataset(joined.uri, deps).scan().select(at, *columns, "late").sort("at", maintain_order=True)
    for row in frame.gather_every(every).collect().iter_rows(named=True):
        yield Flight(row.pop("at"), row, bool(row.pop("late")))


def mirrored(row: Mapping[str, Any]) -> Row:
    """Return the row of a feed that has begun to count the minutes by which a plane left early, not late."""
    delay = row[LATER_COLUMN]
    return {**row, LATER_COLUMN: None if delay is None else -delay}


def label_due(flight: Flight) -> datetime:
    """Return when it is known how the flight ended: a day later, when the airlines have reported."""
    return flight.at + timedelta(days=1)
