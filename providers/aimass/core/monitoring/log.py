"""The prediction log and the late labels: where they lie, what their columns are called, and how they are read.

A server writes segments, each a dataset of its own below ``<store>/<project>/predictions/<model>/`` (labels: below
``labels/``), called ``<start>-<server>-v<version>-<number>`` after the UTC time of its first row. A segment holds one
version only and at most `LONGEST_SEGMENT` of time; one without a manifest does not exist.

The module's constants need neither polars nor pyarrow; its readers import them when they are called.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from aimass.core.manifest import find_manifest

if TYPE_CHECKING:
    import polars as pl

    from aimass.core.deps import Deps
    from aimass.core.storage import Store

PREDICTIONS = "predictions"
"""Folder of the prediction log, and the stage that its manifests name."""

LABELS = "labels"
"""Folder of the late labels, and the stage that their manifests name."""

REQUEST_ID = "__request_id"
ROW = "__row"
AT = "__at"
VERSION = "__version"
ALIAS = "__alias"
PROBABILITY = "__probability"
LABEL = "__label"
LATENCY_MS = "__latency_ms"
THREADS = "__threads"

PREDICTION_COLUMNS = {
    REQUEST_ID: "string",
    ROW: "int32",
    AT: "timestamp[us, tz=UTC]",
    VERSION: "string",
    ALIAS: "string",
    PROBABILITY: "float",
    LABEL: "int8",
    LATENCY_MS: "float",
    THREADS: "int8",
}
"""Arrow types of the columns that stand before the model's raw columns; ``__label`` is the predicted class, 0 or 1."""

LABEL_COLUMNS = {REQUEST_ID: "string", ROW: "int32", AT: "timestamp[us, tz=UTC]", LABEL: "int8"}
"""Arrow types of the columns of a label segment; ``__label`` is the true class, ``__at`` when it became known."""

RAW_TYPES = {"string": "string", "float": "double", "int": "int64", "bool": "bool", "date": "timestamp[us, tz=UTC]"}
"""Arrow type in which each kind of raw column is logged, in canonical form; null is missing."""

LONGEST_SEGMENT = timedelta(hours=1)
"""How far the first and the last row of a segment may be apart; readers look no further back for a window's rows."""

_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"^(\d{8}T\d{6}Z)-")


class SegmentFacts(BaseModel):
    """What the manifest of a segment says in its ``result``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str = Field(description="Name of the registered model.")
    version: str = Field(default="", description="The version that answered; empty for labels.")
    digest: str = Field(default="", description="sha256 of its model.onnx; empty for labels.")
    runs_on: str = Field(default="", description="ONNX Runtime and class of CPU that answered; empty where unknown.")
    start: datetime = Field(description="When its first row was written (UTC).")
    end: datetime = Field(description="When its last row was written (UTC).")
    rows: int = Field(description="Its rows.")
    sampled: float = Field(default=1.0, description="Share of the requests that the server was told to log.")
    dropped: int = Field(default=0, description="Rows that should have been logged and could not be.")


@dataclass(frozen=True)
class Segment:
    """A published segment.

    Attributes
    ----------
    uri : str
        Its folder.
    content : str
        Digest of its rows.
    facts : SegmentFacts
        What its manifest says.
    """

    uri: str
    content: str
    facts: SegmentFacts


def log_folder(store: Store, project: str, model: str, what: str = PREDICTIONS) -> str:
    """Return the URI of the folder that holds the segments of `model`."""
    return store.folder(project, what, model)


def segment_name(start: datetime, server: str, version: str, number: int) -> str:
    """Return what a segment is called that starts at `start`."""
    return f"{stamp(start)}-{server}-v{version}-{number}"


def stamp(moment: datetime) -> str:
    """Return a UTC time as file names have it, such as ``20260401T120000Z``; fractions of a second are cut."""
    return moment.astimezone(UTC).strftime(_TIME)


def segments(
    store: Store, project: str, model: str, start: datetime, end: datetime, *, what: str = PREDICTIONS
) -> list[Segment]:
    """Return the segments that may hold rows of ``start <= __at < end``, in order of name.

    Parameters
    ----------
    store : Store
        Where they lie.
    project, model : str
        Whose they are.
    start, end : datetime
        The window.
    what : {"predictions", "labels"}
        Which log.

    Raises
    ------
    CorruptDataError
        A manifest cannot be read.
    """
    folder = log_folder(store, project, model, what)
    found = []
    for name in store.list(folder):
        match = _NAME.match(name)
        # The time in the name is cut to whole seconds; a row may be a second later.
        if match and start - LONGEST_SEGMENT - timedelta(seconds=1) <= _time(match[1]) < end:
            manifest = find_manifest(store, f"{folder}/{name}")
            if manifest is not None:
                facts = SegmentFacts.model_validate(manifest.result)
                if facts.start < end and facts.end >= start:
                    found.append(Segment(f"{folder}/{name}", manifest.digest, facts))
    return found


def scan_predictions(
    found: Sequence[Segment], deps: Deps, start: datetime, end: datetime, *, columns: Sequence[str] | None = None
) -> pl.LazyFrame:
    """Return the rows of ``start <= __at < end`` lazily, segment after segment.

    A column that a segment does not have (another version had other inputs) is null in its rows.

    Parameters
    ----------
    found : sequence of Segment
        At least one, from `segments`.
    deps : Deps
        Whose store has them and whose access policy is asked.
    start, end : datetime
        The window.
    columns : sequence of str, optional
        Only these.
    """
    return _scan([segment.uri for segment in found], deps, start, end, columns)


def slice_predictions(
    found: Iterable[Segment], deps: Deps, start: datetime, end: datetime, *, columns: Sequence[str]
) -> Iterator[pl.LazyFrame]:
    """Yield the same rows piece by piece, so that whoever only adds them up never holds many.

    All `columns` must be there.
    """
    import polars as pl

    from aimass.core.datasets import ROWS_PER_BATCH, open_dataset

    for segment in found:
        dataset = open_dataset(segment.uri, deps)
        frame = dataset.scan(columns=[*dict.fromkeys([*columns, AT])])
        for first in range(0, dataset.rows(), ROWS_PER_BATCH):
            # Cut first: a piece of filtered rows would be looked for from the file's start.
            piece = frame.slice(first, ROWS_PER_BATCH)
            yield piece.filter((pl.col(AT) >= start) & (pl.col(AT) < end)).select(columns)


def scan_labels(found: Sequence[Segment], deps: Deps, start: datetime, end: datetime) -> pl.LazyFrame:
    """Return the newest label of each (``__request_id``, ``__row``) that became known in ``start <= __at < end``."""
    frame = _scan([segment.uri for segment in found], deps, start, end, list(LABEL_COLUMNS))
    return frame.sort(AT).unique([REQUEST_ID, ROW], keep="last")


def _scan(
    uris: Iterable[str], deps: Deps, start: datetime, end: datetime, columns: Sequence[str] | None
) -> pl.LazyFrame:
    import polars as pl

    from aimass.core.datasets import open_dataset

    frames = []
    for uri in uris:
        dataset = open_dataset(uri, deps)
        wanted = None if columns is None else [name for name in columns if name in dataset.columns]
        # The time is needed to cut the window, whether it was asked for or not.
        read = wanted if wanted is None or AT in wanted else [*wanted, AT]
        frame = dataset.scan(columns=read).filter((pl.col(AT) >= start) & (pl.col(AT) < end))
        frames.append(frame if wanted is None else frame.select(wanted))
    return pl.concat(frames, how="diagonal")


def _time(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
