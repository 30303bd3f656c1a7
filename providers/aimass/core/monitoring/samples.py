"""The history of what servers measured about a model: asked from them now and then, kept for rules and pages.

``<store>/<project>/monitoring/<model>/samples/<time>.json`` is what one asking brought: a list of `MetricSample`, each
with the watched model only. A server keeps its samples for a day, so a missed asking loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from aimass.core.endpoints.status import MetricSample
from aimass.core.monitoring.log import stamp
from aimass.core.storage import Store

KEPT_BY_SERVERS = timedelta(days=1)


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
    folder = samples_folder(store, project, model)
    # A file is called after its newest sample: it may begin before `since`, and an older one has nothing for us.
    names = [name for name in store.list(folder) if since is None or name >= f"{stamp(since)}.json"]
    found: dict[tuple[datetime, str], MetricSample] = {}
    for name in names:
        for document in store.read_json(f"{folder}/{name}"):
            sample = MetricSample.model_validate(document)
            found[sample.at, sample.server_id] = sample
        if until is not None and found and max(found)[0] > until + KEPT_BY_SERVERS:
            break
    return [
        found[key] for key in sorted(found) if (since is None or key[0] > since) and (until is None or key[0] <= until)
    ]


def newest_sample(store: Store, project: str, model: str) -> datetime | None:
    """Return when the newest sample that is kept was taken, cut to a whole second; None where there is none."""
    names = [name for name in store.list(samples_folder(store, project, model)) if name.endswith(".json")]
    return _time(names[-1]) if names else None


def _only(sample: MetricSample, model: str) -> dict[str, object]:
    return {name: one for name, one in sample.models.items() if name == model}


def _time(name: str) -> datetime:
    return datetime.strptime(name.removesuffix(".json") + "+0000", "%Y%m%dT%H%M%SZ%z")
