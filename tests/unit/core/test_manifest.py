from __future__ import annotations

from typing import Any

import pytest

from aimass.core.deps import Deps
from aimass.core.errors import CorruptDataError, NotFoundError
from aimass.core.manifest import Column, File, Manifest, Part, find_manifest, load_manifest, publish_manifest


def manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "kind": "dataset",
        "project": "p",
        "stage": "s",
        "key": "k",
        "code_version": 1,
        "config": {"名": 1},
        "columns": [Column(name="a", type="int64")],
        "parts": [Part(name="x", rows=2, bytes=10, sha256="d1"), Part(name="y", rows=3, bytes=20, sha256="d2")],
        "files": [File(name="f", bytes=5, sha256="d3")],
        "created_at": "now",
    }
    return Manifest.model_validate({**fields, **changes})


def test_rows_and_bytes_are_sums() -> None:
    assert (manifest().rows, manifest().bytes) == (5, 35)
    assert manifest().column("a") is not None
    assert manifest().column("b") is None


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({"created_at": "later"}, True),
        ({"project": "other", "key": "other", "result": {"rows": 1}}, True),
        ({"parts": [Part(name="renamed", rows=5, bytes=30, sha256="d1")]}, False),
        ({"columns": [Column(name="a", type="int64", tags={"role": "id"})]}, False),
        ({"files": []}, False),
    ],
)
def test_digest_is_of_the_content_alone(changes: dict[str, Any], is_same: bool) -> None:
    assert (manifest().digest == manifest(**changes).digest) is is_same


def test_the_first_published_manifest_stands(deps: Deps) -> None:
    folder = deps.store.folder("d")
    assert find_manifest(deps.store, folder) is None
    with pytest.raises(NotFoundError, match=r"manifest\.json"):
        load_manifest(deps.store, folder)
    first = publish_manifest(deps.store, folder, manifest())
    assert publish_manifest(deps.store, folder, manifest(created_at="later")) == first
    assert load_manifest(deps.store, folder + "/") == first


@pytest.mark.parametrize("data", [b"{", b"{}", b'{"kind": "dataset", "unknown": 1}'])
def test_a_damaged_manifest_is_corrupt(deps: Deps, data: bytes) -> None:
    deps.store.publish(deps.store.folder("d", "manifest.json"), data)
    with pytest.raises(CorruptDataError, match=r"manifest\.json"):
        load_manifest(deps.store, deps.store.folder("d"))
