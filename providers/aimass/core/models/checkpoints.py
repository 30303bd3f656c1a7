"""Fitted candidates that an interrupted train stage left behind: a retry fits only what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from aimass.core.deps import Deps
from aimass.core.errors import CorruptDataError, NotFoundError
from aimass.core.manifest import File
from aimass.core.models.candidates import Candidate
from aimass.core.storage import file_digest

if TYPE_CHECKING:
    from aimass.core.stages.base import Output


class _Checkpoint(BaseModel):
    """A candidate whose files stand whole in the output's folder; lives until the stage ends."""

    model_config = ConfigDict(extra="forbid")

    candidate: Candidate = Field(description="The fitted candidate.")
    files: list[File] = Field(description="Its files.")


def write_checkpoint(deps: Deps, output: Output, candidate: Candidate) -> None:
    """Note that `candidate` is fitted and its files are written."""
    files = [file for file in output.files if file.name.startswith(f"{candidate.folder}/")]
    done = _Checkpoint(candidate=candidate, files=files)
    deps.store.publish(_uri(output, candidate.name), done.model_dump_json().encode())


def take_over(deps: Deps, output: Output, name: str) -> Candidate | None:
    """Return the candidate called `name` if an earlier attempt finished it, its files made part of `output`."""
    uri = _uri(output, name)
    if not deps.store.exists(uri):
        return None
    done = _Checkpoint.model_validate(deps.store.read_json(uri))
    for file in done.files:
        try:
            path = deps.store.localize(f"{output.uri}/{file.name}", sha256=file.sha256)
        except (NotFoundError, CorruptDataError):
            return None
        if file_digest(path) != file.sha256:
            return None
    for file in done.files:
        output.adopt_file(file)
    return done.candidate


def drop_checkpoints(deps: Deps, output: Output, candidates: Sequence[Candidate]) -> None:
    """Remove the notes, now that every candidate is part of the output."""
    for candidate in candidates:
        deps.store.delete(_uri(output, candidate.name))


def _uri(output: Output, name: str) -> str:
    return f"{output.uri}/{name}.checkpoint.json"
