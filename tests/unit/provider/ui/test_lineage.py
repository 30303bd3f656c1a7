from __future__ import annotations

from pathlib import Path

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.manifest import File, InputRef, Manifest, publish_manifest
from aimass.ui.lineage import lineage_of
from aimass.ui.outputs import published


class Shelf:
    """Publishes outputs that name each other."""

    def __init__(self, root: Path) -> None:
        self.deps = Deps.from_runtime(Runtime(store=root.as_uri(), project="p"))
        self._count = 0

    def put(self, name: str, *inputs: str, project: str = "p", content: str = "") -> str:
        """Publish the output `name`; return its address."""
        self._count += 1
        uri = self.deps.store.folder(project, name, "k")
        references = [InputRef(field="dataset", uri=source, digest=self.digest(source)) for source in inputs]
        file = File(name="f", bytes=1, sha256=content or name)
        manifest = Manifest(
            kind="artifact", project=project, stage=name, key=name, code_version=1, config={}, inputs=references,
            files=[file], created_at=f"2026-01-01T00:{self._count:02}:00+00:00",
        )  # fmt: skip
        publish_manifest(self.deps.store, uri, manifest)
        return uri

    def digest(self, uri: str) -> str:
        return published(self.deps, uri).manifest.digest

    def drop(self, uri: str) -> None:
        self.deps.store.local_path(f"{uri}/manifest.json").unlink()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def names(edges: dict[tuple[str, str], str]) -> set[tuple[str, str]]:
    return {(start.split("/")[-2], end.split("/")[-2]) for start, end in edges}


def test_it_goes_all_the_way_up_and_down(shelf: Shelf) -> None:
    a = shelf.put("a")
    b = shelf.put("b", a)
    c = shelf.put("c", b)
    d = shelf.put("d", c, b)
    sibling = shelf.put("e", a)
    found = lineage_of(published(shelf.deps, b), [d, sibling, c])
    assert names(found.edges) == {("a", "b"), ("b", "c"), ("c", "d"), ("b", "d")}
    assert found.nodes[b].state == "here"
    assert sibling not in found.nodes


def test_what_was_collected_is_gone_and_ends_the_way_up(shelf: Shelf) -> None:
    a = shelf.put("a")
    b = shelf.put("b", a)
    shelf.drop(a)
    found = lineage_of(published(shelf.deps, b), [])
    assert found.nodes[a].state == "gone"


def test_another_pipelines_output_tells_nothing(shelf: Shelf) -> None:
    secret = shelf.put("secret", project="q")
    theirs = shelf.put("theirs", secret, project="q")
    ours = shelf.put("ours", theirs)
    child = shelf.put("child", ours, project="q")
    found = lineage_of(published(shelf.deps, ours), [child])
    assert found.nodes[theirs].state == "foreign"
    assert found.nodes[theirs].manifest is None
    assert set(found.nodes) == {ours, theirs}


def test_no_more_is_read_than_allowed(shelf: Shelf) -> None:
    uris = [shelf.put("a")]
    for number in range(9):
        uris.append(shelf.put(f"b{number}", uris[-1]))
    found = lineage_of(published(shelf.deps, uris[-1]), [], most=3)
    assert len(found.nodes) == 4
    assert found.is_cut
    assert not lineage_of(published(shelf.deps, uris[-1]), []).is_cut


def test_a_child_of_equal_content_counts_where_its_own_input_is_gone(shelf: Shelf) -> None:
    first = shelf.put("a", content="same")
    child = shelf.put("child", first)
    again = shelf.put("again", content="same")
    assert names(lineage_of(published(shelf.deps, again), [child]).edges) == set(), "made before it"
    later = shelf.put("later", first)
    shelf.drop(first)
    assert names(lineage_of(published(shelf.deps, again), [child, later]).edges) == {("again", "later")}
