"""The history of what servers measured about a model: asked from them now and then, kept for rules and pages.

``<store>/<project>/monitoring/<model>/samples/<time>.json`` is what one asking brought: a list of `MetricSample`, each
with the watched model only. A server keeps its samples for a day, so a missed asking loses nothing.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from aimass.core.endpoints.status import MetricSample, ModelSample
from aimass.core.errors import CorruptDataError
from aimass.core.monitoring.log import stamp
from aimass.core.monitoring.result import Serving
from aimass.core.storage import Store

KEPT_BY_SERVERS = timedelta(days=1)

MOST_READ = 250
"""So many files at most are read to draw a long time: more would keep the reader waiting."""

_SAMPLES = TypeAdapter(list[MetricSample])


class CoarseSamples(NamedTuple):
    """Samples joined to few points.

    A joined sample stands for what it is made of: counts and bytes are added up, `cpu_share` is the mean, and latency,
    memory and waiting rows are the worst.

    Attributes
    ----------
    servers : dict of str to list of MetricSample
        By server, oldest first.
    askings, read : int
        How many files there are of that time, and how many, evenly spread, were read.
    """

    servers: dict[str, list[MetricSample]]
    askings: int
    read: int


def samples_folder(store: Store, project: str, model: str) -> str:
    """Return the URI of the folder that has one file for each asking, called by the time of its newest sample."""
    return store.folder(project, "monitoring", model, "samples")


def keep_samples(store: Store, project: str, model: str, samples: Sequence[MetricSample]) -> str:
    """Write `samples` of all servers, keeping only the figures of `model`; return the file's URI, "" for none.

    Samples that an earlier asking brought may be among them: readers take each once.
    """
    if not samples:
        return ""
    own = [sample.model_copy(update={"models": _only(sample, model)}) for sample in samples]
    own.sort(key=lambda sample: (sample.at, sample.server_id))
    uri = f"{samples_folder(store, project, model)}/{stamp(own[-1].at)}.json"
    document = [sample.model_dump(mode="json") for sample in own]
    # Two askings in one second brought the same; what the second one has besides comes with the next.
    store.publish_once(uri, json.dumps(document).encode())
    return uri


def read_samples(
    store: Store, project: str, model: str, *, since: datetime | None = None, until: datetime | None = None
) -> list[MetricSample]:
    """Return the samples with ``since < at <= until``, oldest first, each server's once.

    Raises
    ------
    CorruptDataError
        A file cannot be read.
    """
    found = {
        (sample.at, sample.server_id): sample
        for name in _askings(store, project, model, since, until)
        for sample in _asked(store, project, model, name)
    }
    return [
        found[key] for key in sorted(found) if (since is None or key[0] > since) and (until is None or key[0] <= until)
    ]


def coarse_samples(
    store: Store, project: str, model: str, *, since: datetime, until: datetime, points: int
) -> CoarseSamples:
    """Return the samples with ``since < at <= until`` of each server, joined to at most `points`.

    No more than one file and one point's samples of each server are in memory at once, and no more than `MOST_READ`
    files are read.

    Raises
    ------
    CorruptDataError
        A file cannot be read.
    """
    names = _askings(store, project, model, since, until)
    read = names[:: -math.ceil(len(names) / MOST_READ)][::-1] if names else []
    width = (until - since) / points
    newest: dict[str, datetime] = {}
    ends: dict[str, datetime] = {}
    pending: dict[str, list[MetricSample]] = {}
    joined: dict[str, list[MetricSample]] = {}
    for sample in itertools.chain.from_iterable(_asked(store, project, model, name) for name in read):
        server_id = sample.server_id
        # A server tells all that it has since a moment: what is not newer than its newest one has been there.
        if not newest.get(server_id, since) < sample.at <= until:
            continue
        newest[server_id] = sample.at
        if sample.at > ends.setdefault(server_id, since):
            if own := pending.get(server_id):
                joined.setdefault(server_id, []).append(_joined(own, model))
            pending[server_id] = []
            ends[server_id] = since + width * math.ceil((sample.at - since) / width)
        pending[server_id].append(sample)
    for server_id, own in pending.items():
        joined.setdefault(server_id, []).append(_joined(own, model))
    return CoarseSamples(joined, len(names), len(read))


def serving_of(samples: Sequence[MetricSample], model: str) -> Serving | None:
    """Return what servers did for `model` in the time of `samples`; None where none of them served it."""
    found = [(sample, sample.models[model]) for sample in samples if model in sample.models]
    if not found:
        return None
    joined = _joined_model([own for _, own in found])
    return Serving(
        servers=len({sample.server_id for sample, _ in found}),
        requests=joined.requests,
        errors=joined.errors,
        rows=joined.rows,
        p50_ms=joined.p50_ms,
        p99_ms=joined.p99_ms,
        cpu_share=max(sample.cpu_share for sample, _ in found),
        rss_bytes=max(sample.rss_bytes for sample, _ in found),
        queue_rows=max(sample.queue_rows for sample, _ in found),
    )


def newest_sample(store: Store, project: str, model: str) -> datetime | None:
    """Return when the newest sample that is kept was taken, cut to a whole second; None where there is none."""
    names = [name for name in store.list(samples_folder(store, project, model)) if name.endswith(".json")]
    return _time(names[-1]) if names else None


def _askings(store: Store, project: str, model: str, since: datetime | None, until: datetime | None) -> list[str]:
    """Return the names of the files that may have a sample with ``since < at <= until``, oldest first."""
    # A file is called after its newest sample: it may begin before `since`, and an older one has nothing for us.
    first = f"{stamp(since)}.json" if since is not None else ""
    last = f"{stamp(until + KEPT_BY_SERVERS)}.json" if until is not None else "~"
    return [
        name
        for name in store.list(samples_folder(store, project, model))
        if name.endswith(".json") and first <= name <= last
    ]


def _asked(store: Store, project: str, model: str, name: str) -> list[MetricSample]:
    """Return what one asking brought."""
    uri = f"{samples_folder(store, project, model)}/{name}"
    try:
        return _SAMPLES.validate_json(store.read_bytes(uri))
    except ValidationError as error:
        raise CorruptDataError(
            f"{uri} does not hold samples: {error}", hint="Delete the file: what it told is lost", uri=uri
        ) from error


def _joined(samples: Sequence[MetricSample], model: str) -> MetricSample:
    seconds = sum(sample.interval_s for sample in samples)
    own = [sample.models[model] for sample in samples if model in sample.models]
    last = samples[-1]
    return MetricSample(
        at=last.at,
        interval_s=seconds,
        server_id=last.server_id,
        cpu_share=sum(sample.cpu_share * sample.interval_s for sample in samples) / (seconds or 1),
        rss_bytes=max(sample.rss_bytes for sample in samples),
        read_bytes=sum(sample.read_bytes for sample in samples),
        write_bytes=sum(sample.write_bytes for sample in samples),
        queue_rows=max(sample.queue_rows for sample in samples),
        models={model: _joined_model(own)} if own else {},
    )


def _joined_model(samples: Sequence[ModelSample]) -> ModelSample:
    versions: dict[str, int] = {}
    for sample in samples:
        for version, count in sample.versions.items():
            versions[version] = versions.get(version, 0) + count
    return ModelSample(
        requests=sum(sample.requests for sample in samples),
        errors=sum(sample.errors for sample in samples),
        rows=sum(sample.rows for sample in samples),
        p50_ms=_worst([sample.p50_ms for sample in samples]),
        p99_ms=_worst([sample.p99_ms for sample in samples]),
        versions=versions,
    )


def _worst(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _only(sample: MetricSample, model: str) -> dict[str, object]:
    return {name: one for name, one in sample.models.items() if name == model}


def _time(name: str) -> datetime:
    return datetime.strptime(name.removesuffix(".json") + "+0000", "%Y%m%dT%H%M%SZ%z")
