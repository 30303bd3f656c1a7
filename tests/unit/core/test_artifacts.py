from __future__ import annotations

import pytest

from aimass.core.artifacts import Artifact
from aimass.core.deps import Deps
from aimass.core.errors import CorruptDataError, NotFoundError
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult


@pytest.fixture
def artifact(deps: Deps) -> Artifact:
    def body(config: StageConfig, deps: Deps, output: Output) -> StageResult:
        output.write_file("b/note.json", '{"a": 1}')
        output.write_file("a.txt", "first")
        output.write_file("a.txt", "second")
        return StageResult()

    return Artifact(Stage("write", StageConfig, StageResult, 1, body).run(StageConfig(), deps).uri, deps)


def test_files_are_read_by_name(artifact: Artifact) -> None:
    assert artifact.names() == ["a.txt", "b/note.json"]
    assert artifact.read_bytes("a.txt") == b"second"
    assert artifact.read_json("b/note.json") == {"a": 1}
    with pytest.raises(NotFoundError, match=r"Known: a\.txt"):
        artifact.path("c.txt")


def test_a_changed_file_is_corrupt(artifact: Artifact) -> None:
    artifact.path("a.txt").write_bytes(b"third and longer")
    with pytest.raises(CorruptDataError, match="as the manifest says"):
        artifact.read_bytes("a.txt")
