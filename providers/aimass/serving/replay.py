"""Answer a logged request anew, and compare the bits.

With one thread inside a run, the same ONNX Runtime and the same class of CPU, a graph gives the same bits. Elsewhere
it gives the same numbers within `TOLERANCE`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aimass.core.deps import Deps
from aimass.core.errors import NotFoundError
from aimass.core.monitoring import log as layout
from aimass.core.release.base import ModelRegistry
from aimass.serving.cache import Cache
from aimass.serving.config import ServeConfig
from aimass.serving.loaded import LoadedModel
from aimass.serving.machine import runs_on
from aimass.serving.registry import deps_of
from aimass.serving.shadow import block_of
from aimass.serving.watcher import Watcher

if TYPE_CHECKING:
    import polars as pl

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Replayed:
    """A request answered anew.

    Attributes
    ----------
    model, version, digest : str
        What answered, then and now.
    rows : int
        Rows in the request.
    differing_rows : int
        Rows whose probability has other bits, or whose label differs.
    differing_labels : int
        Rows whose label differs.
    max_abs_diff : float
        Greatest difference of the probabilities; NaN where one of them is none.
    threads : int
        Threads of one run, then and now.
    before, now : str
        What it ran on: ONNX Runtime and class of CPU; `before` is empty where the log does not tell.
    """

    model: str
    version: str
    digest: str
    rows: int
    differing_rows: int
    differing_labels: int
    max_abs_diff: float
    threads: int
    before: str
    now: str

    @property
    def is_equal(self) -> bool:
        """Whether every bit is the same."""
        return self.differing_rows == 0

    @property
    def is_close(self) -> bool:
        """Whether the probabilities are as close as those of two machines, and every label is the same."""
        return self.max_abs_diff <= TOLERANCE and not self.differing_labels


def replay(config: ServeConfig, registry: ModelRegistry, request_id: str, *, model: str | None = None) -> Replayed:
    """Find a request in the prediction log, fetch the version that answered, and run it on the same rows.

    Raises
    ------
    NotFoundError
        The log holds no such request, or the registry no longer holds the version.
    """
    deps = deps_of(config)
    project, name, facts, frame = _find(deps, request_id, model)
    digest = facts.digest
    watcher = Watcher(registry)
    with tempfile.TemporaryDirectory(prefix="aimass-replay-") as folder:
        cache = Cache(Path(folder), "replay")
        files = cache.obtain(digest, lambda to: watcher.fetch(name, facts.version, digest, to))
        loaded = LoadedModel.load(
            files / "model.onnx",
            files / "graph.json",
            name=name,
            version=facts.version,
            digest=digest,
            project=project,
            threads=int(frame[layout.THREADS][0]),
        )
        return _compare(loaded, frame, facts.runs_on)


def told(found: Replayed) -> str:
    """Return the outcome in a sentence."""
    what = f"{found.rows} rows by {found.model} version {found.version} ({found.digest[:12]}…)"
    if found.is_equal:
        return f"{what}: the answer has the same bits."
    differ = f"{what}: {found.differing_rows} rows differ, by at most {found.max_abs_diff:.3g}"
    if found.is_close:
        return f"{differ}, within {TOLERANCE:g}, {_explained(found)}."
    labels = f", and {found.differing_labels} labels" if found.differing_labels else ""
    return f"{differ}{labels}: this is NOT the answer that was sent. Another machine's is within {TOLERANCE:g}."


def _explained(found: Replayed) -> str:
    """Return why an answer may be close to another one, and not have its bits."""
    if found.before != found.now:
        return f"as on another machine (there: {found.before or 'unknown'}; here: {found.now})"
    if found.threads > 1:
        return f"as by more than one thread (there: {found.threads}), which share the work differently each time"
    return f"though both ran on {found.now} in one thread: rows that came with others may be summed in another order"


def _find(deps: Deps, request_id: str, model: str | None) -> tuple[str, str, layout.SegmentFacts, pl.DataFrame]:
    """Return project, model, what the segment's manifest says, and the rows of the request; newest segments first."""
    import polars as pl

    from aimass.core.datasets import collect, open_dataset
    from aimass.core.manifest import find_manifest

    for project in deps.store.list(deps.store.root):
        for name in deps.store.list(deps.store.folder(project, layout.PREDICTIONS)):
            folder = layout.log_folder(deps.store, project, name)
            for segment in reversed(deps.store.list(folder) if model in (None, name) else []):
                manifest = find_manifest(deps.store, f"{folder}/{segment}")
                if manifest is None:
                    continue
                rows = open_dataset(f"{folder}/{segment}", deps).scan().filter(pl.col(layout.REQUEST_ID) == request_id)
                frame = collect(rows.sort(layout.ROW))
                if frame.height:
                    return project, name, layout.SegmentFacts.model_validate(manifest.result), frame
    raise NotFoundError(
        f"No request {request_id!r} is in the prediction log of {deps.store.root}",
        hint="A request gets there within log_flush_s, and only if it is in the sample that log_sample takes",
    )


def _compare(loaded: LoadedModel, frame: pl.DataFrame, before: str) -> Replayed:
    columns = {column.name: _cells(frame[column.name]) for column in loaded.columns}
    probability, label = loaded.run(block_of(columns, loaded.encoder, frame.height))
    logged = frame[layout.PROBABILITY].to_numpy()
    flipped = label != frame[layout.LABEL].to_numpy()
    differs = (probability.view(np.uint32) != logged.view(np.uint32)) | flipped
    return Replayed(
        model=loaded.name,
        version=loaded.version,
        digest=loaded.digest,
        rows=frame.height,
        differing_rows=int(differs.sum()),
        differing_labels=int(flipped.sum()),
        max_abs_diff=float(np.max(np.abs(probability - logged))),
        threads=int(frame[layout.THREADS][0]),
        before=before,
        now=runs_on(),
    )


def _cells(values: pl.Series) -> list[Any]:
    """Return the canonical cells: dates in microseconds, booleans as 0 and 1."""
    import polars as pl

    if values.dtype == pl.Datetime or values.dtype == pl.Boolean:
        values = values.cast(pl.Int64)
    return values.to_list()
