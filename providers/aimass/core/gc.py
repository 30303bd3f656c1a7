"""Garbage collection of a store: what an interrupted attempt left, what nothing refers to, and notes of old runs.

Kept, whatever its age: every release and all that it was made from; the evidence of every rollback, with what it
shows; every output that a run of the last days used or made, and all that went into it; the last link of every chain
of incremental reads, which says how far the source was read, and the rows that it refers to. Kept, too: whatever is
younger than a running task may be. What is deleted is never wrong to delete, only work to do again: a stage whose
output is gone makes it anew.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import ValidationError

from aimass.core.errors import AimassError, CorruptDataError
from aimass.core.manifest import MANIFEST_NAME, PARTITIONS, POSITION_NAME, PREVIOUS, Manifest
from aimass.core.storage import Store

LASTING = ("release", "rollback")
"""Stages whose outputs people ask for years later."""
RUNS = "runs"
_KEY = re.compile(r"^[0-9a-f]{16}$")

Kind = Literal["orphan", "unreferenced", "old run"]


@dataclass(frozen=True)
class Garbage:
    """Something that may go.

    Attributes
    ----------
    kind : {"orphan", "unreferenced", "old run"}
        Bytes of an attempt that never ended; a published output that nothing refers to; notes of a run.
    uri : str
        The file or folder.
    size_bytes : int
        What deleting it frees.
    reason : str
        Why it may go, for people.
    """

    kind: Kind
    uri: str
    size_bytes: int
    reason: str


@dataclass
class _Folder:
    """The files below one output, or below one run: name to (size, when it was changed; None where nobody knows)."""

    uri: str
    files: dict[str, tuple[int, datetime | None]] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        return sum(size for size, _ in self.files.values())

    def is_older(self, than: datetime) -> bool:
        """Return whether every file is known to be older; what has no date counts as new."""
        return all(_is_older(changed, than) for _, changed in self.files.values())


def find_garbage(
    store: Store, *, now: datetime, keep: timedelta = timedelta(days=30), in_flight: timedelta = timedelta(days=2)
) -> list[Garbage]:
    """Return what may go, without touching anything.

    Parameters
    ----------
    store : Store
        The store.
    now : datetime
        The current time.
    keep : timedelta
        Runs and outputs younger than this are kept.
    in_flight : timedelta
        Bytes younger than this may belong to a task that is running.

    Raises
    ------
    CorruptDataError
        A manifest cannot be read: what it refers to is unknown, so nothing may be called garbage.
    """
    outputs, runs = _listing(store)
    manifests = {uri: _manifest(store, uri) for uri, folder in outputs.items() if MANIFEST_NAME in folder.files}
    used = _used(store, [run for run in runs.values() if not run.is_older(now - keep)])
    live = _closure(manifests, _roots(outputs, manifests, used, now - keep))
    found: list[Garbage] = []
    for uri, folder in outputs.items():
        if uri not in manifests:
            if folder.is_older(now - in_flight):
                found.append(Garbage("orphan", uri, folder.size_bytes, "no manifest: the attempt never ended"))
        elif uri not in live:
            found.append(Garbage("unreferenced", uri, folder.size_bytes, "no release and no recent run refers to it"))
        else:
            found.extend(_leftovers(folder, manifests[uri], now - in_flight))
    for uri, run in runs.items():
        if run.is_older(now - keep):
            found.append(Garbage("old run", uri, run.size_bytes, f"notes of a run older than {keep.days} days"))
    return sorted(found, key=lambda item: (item.kind, item.uri))


def collect_garbage(store: Store, garbage: Iterable[Garbage]) -> Iterator[tuple[Garbage, AimassError | None]]:
    """Delete each item of `garbage`; yield it with the error that kept it, if any.

    The manifest goes first: a deletion that is cut off leaves an orphan, never a dataset that lacks parts.
    """
    for item in garbage:
        try:
            if item.kind == "unreferenced":
                store.delete(f"{item.uri}/{MANIFEST_NAME}")
            store.delete(item.uri)
        except AimassError as error:
            yield item, error
        else:
            yield item, None


def _listing(store: Store) -> tuple[dict[str, _Folder], dict[str, _Folder]]:
    """Return the outputs (``<project>/<stage>/<key>``) and the runs (``<project>/runs/<run>``) with their files."""
    outputs: dict[str, _Folder] = {}
    runs: dict[str, _Folder] = {}
    for name, size, changed in _files(store):
        parts = name.split("/", 3)
        if len(parts) < 4:
            continue
        uri = store.folder(*parts[:3])
        if parts[1] == RUNS:
            runs.setdefault(uri, _Folder(uri)).files[parts[3]] = (size, changed)
        elif _KEY.match(parts[2]):
            outputs.setdefault(uri, _Folder(uri)).files[parts[3]] = (size, changed)
    return outputs, runs


def _files(store: Store) -> Iterator[tuple[str, int, datetime | None]]:
    """Yield name below the root, size and date of every file."""
    root = store.path(store.root)
    base = root.path.rstrip("/")
    found: dict[str, dict[str, Any]] = root.fs.find(base, detail=True) if root.exists() else {}
    for path, info in sorted(found.items()):
        yield path[len(base) :].strip("/"), int(info.get("size") or 0), _changed(info)


def _changed(info: dict[str, Any]) -> datetime | None:
    """Return a file's date from what its file system tells; each names it differently."""
    for name in ("mtime", "LastModified", "last_modified", "modificationTime", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    return None


def _is_older(changed: datetime | None, than: datetime) -> bool:
    return changed is not None and changed < than


def _manifest(store: Store, folder: str) -> Manifest:
    uri = f"{folder}/{MANIFEST_NAME}"
    try:
        return Manifest.model_validate(store.read_json(uri))
    except ValidationError as error:
        raise CorruptDataError(
            f"{uri} is not a manifest, so nobody knows what it refers to",
            hint="Delete that folder by hand, or mend it; nothing was deleted",
            uri=uri,
        ) from error


def _used(store: Store, runs: Iterable[_Folder]) -> set[str]:
    """Return the outputs that `runs` noted as used."""
    notes = [f"{run.uri}/{name}" for run in runs for name in run.files if name.startswith("uses/")]
    return {str(store.read_json(note)["uri"]) for note in notes}


def _roots(outputs: dict[str, _Folder], manifests: dict[str, Manifest], used: set[str], oldest: datetime) -> set[str]:
    young = {uri for uri in manifests if not outputs[uri].is_older(oldest)}
    lasting = {uri for uri, manifest in manifests.items() if manifest.stage in LASTING}
    return young | lasting | used | _heads(manifests)


def _heads(manifests: dict[str, Manifest]) -> set[str]:
    """Return the last link of each chain; a chain lives in one project."""
    heads: dict[tuple[str, str], tuple[int, str]] = {}
    for uri, manifest in manifests.items():
        if manifest.link is not None:
            chain, found = (manifest.project, manifest.link.chain), (manifest.link.number, uri)
            heads[chain] = max(heads.get(chain, found), found)
    return {uri for _, uri in heads.values()}


def _closure(manifests: dict[str, Manifest], roots: set[str]) -> set[str]:
    """Return `roots` and everything that went into them.

    An input is found by its digest, too: the same content made again elsewhere stands for it. The link before a
    link is not what it was made from: what it needs of that one's rows are its own parts.
    """
    by_digest: dict[str, set[str]] = defaultdict(set)
    for uri, manifest in manifests.items():
        by_digest[manifest.digest].add(uri)
    live: set[str] = set()
    waiting = [uri for uri in roots if uri in manifests]
    while waiting:
        uri = waiting.pop()
        if uri in live:
            continue
        live.add(uri)
        waiting.extend({part.uri(uri).rpartition("/")[0] for part in manifests[uri].parts} & manifests.keys())
        for ref in manifests[uri].inputs:
            named = ref.uri.rstrip("/")
            if ref.field != PREVIOUS:
                waiting.extend([named] if named in manifests else by_digest[ref.digest])
    return live


def _leftovers(folder: _Folder, manifest: Manifest, oldest: datetime) -> Iterator[Garbage]:
    """Yield the files of a published output that its manifest does not name."""
    own = (part.name for part in manifest.parts if not part.folder)
    named = {MANIFEST_NAME, POSITION_NAME, *own, *(file.name for file in manifest.files)}
    for name, (size, changed) in folder.files.items():
        if name not in named and not name.startswith(PARTITIONS) and _is_older(changed, oldest):
            yield Garbage("orphan", f"{folder.uri}/{name}", size, "the manifest does not name it")
