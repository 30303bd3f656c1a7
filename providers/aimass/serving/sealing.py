"""From journals to segments of the prediction log; a process of its own, for it needs polars and pyarrow.

A journal becomes one segment per version that answered in it, named by the journal's number: whoever seals it again
after a crash, here or elsewhere, makes the same segments. It is deleted when they all stand.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aimass import __version__
from aimass.core.errors import AimassError
from aimass.core.failpoints import Failpoints, NoFailpoints
from aimass.core.manifest import Manifest, find_manifest, publish_manifest
from aimass.core.monitoring import log as layout
from aimass.core.reserved import NULL_STRING
from aimass.core.storage import Store, options_of_environment, text_digest
from aimass.serving.journal import SUFFIX, DroppedFrame, LabelFrame, read_frames, taken
from aimass.serving.logs import set_up_logs
from aimass.serving.requests import RequestFrame, VersionFrame

if TYPE_CHECKING:
    import pyarrow as pa

CODE_VERSION = 1
DEFAULT_PROJECT = "default"
REQUESTS_PER_BATCH = 8192
LATER_PRIORITY = 10
"""How much nicer than requests sealing is."""

log = logging.getLogger(__name__)


@dataclass
class Sealed:
    """What one call did.

    Attributes
    ----------
    journals : int
        Journals that are segments now.
    rows : int
        Their rows.
    problems : list of str
        Why others are not.
    """

    journals: int = 0
    rows: int = 0
    problems: list[str] = field(default_factory=list)


def seal_all(store: Store, folder: Path, *, sampled: float, failpoints: Failpoints | None = None) -> Sealed:
    """Make segments of every journal below `folder` that nobody writes or seals now.

    Parameters
    ----------
    store : Store
        Where the segments come to stand.
    folder : Path
        Holds a folder of journals for each server.
    sampled : float
        Share of the requests that the journals hold, for the manifests.
    failpoints : Failpoints, optional
        Told "segment_published" and "journal_deleted".
    """
    done = Sealed()
    for path in sorted(folder.glob(f"*/*{SUFFIX}")):
        with taken(path) as ours:
            if not ours:
                continue
            try:
                done.rows += _Sealing(store, path, sampled, failpoints or NoFailpoints()).run()
                done.journals += 1
            except AimassError as error:
                done.problems.append(f"{path.name}: {error}")
            except Exception as error:
                # One journal that cannot be read must not keep the others from the log.
                log.exception("%s cannot be sealed and is put aside", path)
                path.rename(path.with_suffix(".bad"))
                done.problems.append(f"{path.name} is put aside: {error}")
    return done


class _Sealing:
    """One journal on its way to its segments."""

    def __init__(self, store: Store, path: Path, sampled: float, failpoints: Failpoints) -> None:
        self._store = store
        self._path = path
        self._server = path.parent.name
        self._number = int(path.stem)
        self._sampled = sampled
        self._failpoints = failpoints

    def run(self) -> int:
        """Publish the segments, delete the journal; return the number of rows."""
        rows = 0
        versions, labels, dropped = self._contents()
        for version, batches in versions.values():
            rows += self._seal_predictions(version, batches, dropped)
        for (project, model), frames in labels.items():
            rows += self._seal_labels(project, model, frames)
        self._path.unlink()
        self._failpoints.hit("journal_deleted")
        return rows

    def _contents(
        self,
    ) -> tuple[dict[int, tuple[VersionFrame, list[RequestFrame]]], dict[tuple[str, str], list[LabelFrame]], int]:
        versions: dict[int, tuple[VersionFrame, list[RequestFrame]]] = {}
        labels: dict[tuple[str, str], list[LabelFrame]] = defaultdict(list)
        dropped = 0
        for frame in read_frames(self._path):
            if isinstance(frame, VersionFrame):
                versions[frame.number] = frame, []
            elif isinstance(frame, RequestFrame):
                versions[frame.number][1].append(frame)
            elif isinstance(frame, LabelFrame):
                labels[frame.project, frame.model].append(frame)
            elif isinstance(frame, DroppedFrame):
                dropped += frame.rows
        return versions, labels, dropped

    def _seal_predictions(self, version: VersionFrame, requests: list[RequestFrame], dropped: int) -> int:
        if not requests:
            return 0
        facts = {
            "model": version.model,
            "version": version.version,
            "digest": version.digest,
            "runs_on": version.runs_on,
            "sampled": self._sampled,
            "dropped": dropped,
        }
        times = [request.at for request in requests]
        tables = (
            prediction_table(version, requests[start : start + REQUESTS_PER_BATCH])
            for start in range(0, len(requests), REQUESTS_PER_BATCH)
        )
        project = version.project or DEFAULT_PROJECT
        return self._publish(layout.PREDICTIONS, project, version.model, version.version, facts, times, tables)

    def _seal_labels(self, project: str, model: str, frames: list[LabelFrame]) -> int:
        import pyarrow as pa

        rows = [(request, row, frame.at, label) for frame in frames for request, row, label in frame.labels]
        requests, numbers, times, labels = zip(*rows, strict=True)
        table = pa.table(
            {
                layout.REQUEST_ID: list(requests),
                layout.ROW: list(numbers),
                layout.AT: _times(list(times)),
                layout.LABEL: list(labels),
            },
            schema=_schema(layout.LABEL_COLUMNS),
        )
        project = project or DEFAULT_PROJECT
        return self._publish(layout.LABELS, project, model, "", {"model": model}, list(times), iter([table]))

    def _publish(
        self,
        what: str,
        project: str,
        model: str,
        version: str,
        facts: dict[str, Any],
        times: list[float],
        tables: Iterator[pa.Table],
    ) -> int:
        """Write one segment, unless it stands already; return its rows."""
        from aimass.core.datasets import DatasetWriter

        start, end = _moment(min(times)), _moment(max(times))
        name = layout.segment_name(start, self._server, version, self._number)
        folder = f"{layout.log_folder(self._store, project, model, what)}/{name}"
        standing = find_manifest(self._store, folder)
        if standing is not None:
            return standing.rows
        writer = DatasetWriter(self._store, folder, failpoints=self._failpoints)
        try:
            for table in tables:
                writer.write(table)
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        rows = sum(part.rows for part in writer.parts)
        manifest = Manifest(
            kind="dataset",
            project=project,
            stage=what,
            key=text_digest([what, project, model, name]),
            code_version=CODE_VERSION,
            config={"server": self._server, "aimass": __version__},
            columns=writer.columns,
            parts=writer.parts,
            result=facts | {"start": start.isoformat(), "end": end.isoformat(), "rows": rows},
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        publish_manifest(self._store, folder, manifest)
        self._failpoints.hit("segment_published")
        return rows


def prediction_table(version: VersionFrame, requests: list[RequestFrame]) -> pa.Table:
    """Return the rows of requests to one version, as the prediction log has them."""
    import pyarrow as pa

    sizes = [request.n_rows for request in requests]
    counts = np.array(sizes)
    columns: dict[str, Any] = {
        layout.REQUEST_ID: _repeated([request.request_id for request in requests], counts),
        layout.ROW: np.concatenate([np.arange(size, dtype=np.int32) for size in sizes]),
        layout.AT: _times(_repeated([request.at for request in requests], counts)),
        layout.VERSION: [version.version] * int(counts.sum()),
        layout.ALIAS: _repeated([request.alias for request in requests], counts),
        layout.PROBABILITY: np.concatenate([np.frombuffer(request.probability, "<f4") for request in requests]),
        layout.LABEL: np.concatenate([np.frombuffer(request.label, "<i8") for request in requests]).astype(np.int8),
        layout.LATENCY_MS: np.repeat([request.latency_ms for request in requests], counts).astype(np.float32),
        layout.THREADS: np.repeat([request.threads for request in requests], counts).astype(np.int8),
    }
    raw = {name: layout.RAW_TYPES[kind] for name, kind in version.columns}
    values = _raw_columns(version, requests, sizes)
    schema = _schema({**layout.PREDICTION_COLUMNS, **raw})
    return pa.table({**columns, **{name: values[name] for name in raw}}, schema=schema)


def _raw_columns(version: VersionFrame, requests: list[RequestFrame], sizes: list[int]) -> dict[str, Any]:
    """Return the canonical values of each raw column over all requests; what is missing is null."""
    import pyarrow as pa

    strings = [name for name, kind in version.columns if kind == "string"]
    floats = [name for name, kind in version.columns if kind == "float"]
    ints = [(name, kind) for name, kind in version.columns if kind not in ("string", "float")]
    found: dict[str, Any] = {}
    for at, name in enumerate(strings):
        texts = [text for request in requests for text in request.strings[at]]
        found[name] = pa.array([None if text == NULL_STRING else text for text in texts], pa.string())
    matrix = _matrix([request.floats for request in requests], "<f8", len(floats), sizes)
    for name, values in zip(floats, matrix, strict=True):
        found[name] = pa.array(values, pa.float64(), mask=np.isnan(values))
    whole = _matrix([request.ints for request in requests], "<i8", len(ints), sizes)
    gone = _matrix([request.missing for request in requests], "?", len(ints), sizes)
    for (name, kind), values, mask in zip(ints, whole, gone, strict=True):
        array = pa.array(values, pa.int64(), mask=mask)
        found[name] = array.cast({"bool": pa.bool_(), "date": pa.timestamp("us", "UTC")}.get(kind, pa.int64()))
    return found


def _matrix(parts: list[bytes], dtype: str, n_columns: int, sizes: list[int]) -> Any:
    """Return the matrices of all requests side by side, shape (n_columns, n_rows)."""
    matrices = [np.frombuffer(part, dtype).reshape(n_columns, size) for part, size in zip(parts, sizes, strict=True)]
    return np.concatenate(matrices, axis=1)


def _repeated(values: list[Any], counts: Any) -> list[Any]:
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]


def _schema(types: dict[str, str]) -> pa.Schema:
    import pyarrow as pa

    arrow = {"timestamp[us, tz=UTC]": pa.timestamp("us", "UTC"), "float": pa.float32(), "double": pa.float64()}
    return pa.schema([(name, arrow.get(kind) or pa.type_for_alias(kind)) for name, kind in types.items()])


def _times(seconds: list[float]) -> pa.Array:
    import pyarrow as pa

    microseconds = (np.array(seconds, dtype=np.float64) * 1e6).astype(np.int64)
    return pa.array(microseconds, pa.int64()).cast(pa.timestamp("us", "UTC"))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def main() -> None:
    """Seal once for each line on standard input, and say on standard output what was done, until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", required=True)
    parser.add_argument("--journals", required=True)
    parser.add_argument("--sampled", type=float, default=1.0)
    options = parser.parse_args()
    set_up_logs()
    os.nice(LATER_PRIORITY)
    store = Store(options.store, options=options_of_environment())
    for _ in sys.stdin:
        done = seal_all(store, Path(options.journals), sampled=options.sampled)
        sys.stdout.write(json.dumps(vars(done)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
