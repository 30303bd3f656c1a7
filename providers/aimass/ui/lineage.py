"""Where an output comes from and what was made of it, by the manifests in the store."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from aimass.core.deps import Deps
from aimass.core.errors import AimassError
from aimass.core.manifest import PREVIOUS, InputRef, Manifest
from aimass.ui.outputs import PublishedOutput, published

MOST_MANIFESTS = 60
"""A page reads no more: enough for a pipeline and its last runs."""

State = Literal["here", "standing", "gone", "foreign"]


@dataclass(frozen=True)
class Node:
    """One output.

    Attributes
    ----------
    uri : str
        Its folder.
    state : {"here", "standing", "gone", "foreign"}
        The output in question, another one, one that was collected as garbage, or one of another pipeline.
    manifest : Manifest or None
        What it is; None where it is gone, or is not this pipeline's to tell.
    """

    uri: str
    state: State
    manifest: Manifest | None = None


@dataclass
class Lineage:
    """The outputs around one of them.

    Attributes
    ----------
    nodes : dict of str to Node
        By address.
    edges : dict of (str, str) to str
        Address of what went in, address of what it went into: the configuration field that named it.
    is_cut : bool
        Whether there was more than a page reads.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[tuple[str, str], str] = field(default_factory=dict)
    is_cut: bool = False


def lineage_of(found: PublishedOutput, candidates: Iterable[str], *, most: int = MOST_MANIFESTS) -> Lineage:
    """Return what `found` was made from, all the way up, and which of `candidates` were made from it, all the way down.

    Parameters
    ----------
    found : PublishedOutput
        The output in question.
    candidates : iterable of str
        Addresses of outputs that may have been made from it; the likely ones first.
    most : int
        How many manifests are read at most.
    """
    reader = _Reader(found, most)
    result = Lineage({found.uri: Node(found.uri, "here", found.manifest)})
    _ascend(result, reader, found)
    _descend(result, found, {uri: manifest for uri in candidates if (manifest := reader.manifest(uri)) is not None})
    result.is_cut = reader.was_refused
    return result


class _Reader:
    """Reads manifests of one pipeline, each once and not too many."""

    def __init__(self, found: PublishedOutput, most: int) -> None:
        self.was_refused = False
        self._deps: Deps = found.deps
        self._project = found.manifest.project
        self._left = most
        self._known: dict[str, Node] = {found.uri: Node(found.uri, "here", found.manifest)}

    def manifest(self, uri: str) -> Manifest | None:
        node = self.node(uri)
        return node.manifest if node is not None else None

    def node(self, uri: str) -> Node | None:
        """Return what stands at `uri`; None where enough has been read."""
        if uri not in self._known:
            if not self._left:
                self.was_refused = True
                return None
            self._left -= 1
            self._known[uri] = self._read(uri)
        return self._known[uri]

    def _read(self, uri: str) -> Node:
        try:
            manifest = published(self._deps, uri).manifest
        except AimassError:
            return Node(uri, "gone")
        # Whoever may read this DAG need not be allowed to read that pipeline's.
        return Node(uri, "standing", manifest) if manifest.project == self._project else Node(uri, "foreign")


def _ascend(result: Lineage, reader: _Reader, found: PublishedOutput) -> None:
    waiting = deque([(found.uri, found.manifest)])
    while waiting:
        uri, manifest = waiting.popleft()
        for reference in manifest.inputs:
            if reference.field == PREVIOUS and uri != found.uri:
                # Of a chain of reads one step is drawn: a page lists them where it is theirs.
                continue
            source = reference.uri.rstrip("/")
            node = reader.node(source)
            if node is None:
                continue
            result.edges[source, uri] = reference.field
            if source not in result.nodes:
                result.nodes[source] = node
                if node.manifest is not None:
                    waiting.append((source, node.manifest))


def _descend(result: Lineage, found: PublishedOutput, candidates: Mapping[str, Manifest]) -> None:
    waiting = deque([(found.uri, found.manifest)])
    while waiting:
        uri, manifest = waiting.popleft()
        for child, reference in _children(uri, manifest, candidates):
            result.edges[uri, child] = reference.field
            if child not in result.nodes:
                result.nodes[child] = Node(child, "standing", candidates[child])
                waiting.append((child, candidates[child]))


def _children(uri: str, manifest: Manifest, candidates: Mapping[str, Manifest]) -> Iterator[tuple[str, InputRef]]:
    """Yield what names the output as an input: by its address, or by its content where that address is gone."""
    digest = manifest.digest
    for child, other in candidates.items():
        for reference in other.inputs:
            source = reference.uri.rstrip("/")
            # Time decides which of two equal contents was first: what goes round in a circle cannot be drawn.
            is_remade = (
                reference.digest == digest and source not in candidates and manifest.created_at < other.created_at
            )
            if source == uri or (is_remade and child != uri):
                yield child, reference
                break
