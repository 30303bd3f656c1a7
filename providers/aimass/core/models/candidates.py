"""Candidates: which model to fit, and the layout of the artifact that keeps the fitted ones (train and optimize)."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aimass.core.artifacts import Artifact
from aimass.core.backends import backend_of
from aimass.core.errors import ConfigError, CorruptDataError, TargetError, UnknownNameError
from aimass.core.matrix import Matrix
from aimass.core.models import MODELS
from aimass.core.models.base import ModelFamily, require_finite
from aimass.core.settings import parse_settings

if TYPE_CHECKING:
    from aimass.core.stages.base import Output

MODELS_FILE = "models.json"


class Candidate(BaseModel):
    """One fitted model of a models artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Name, unique in the artifact; also its folder.")
    family: str = Field(description="The model family.")
    settings: dict[str, Any] = Field(description="Every hyper-parameter, defaults included.")
    seed: int = Field(description="The seed that it was fitted with.")
    folder: str = Field(description="Folder of its files inside the artifact.")
    files: list[str] = Field(description="Native files inside the folder.")
    metrics: dict[str, float] = Field(description="Metrics on the validation part.")
    features: int = Field(description="Number of features.")
    classes: list[str] = Field(description="The target's classes, the positive one last.")
    threshold: float | None = Field(
        default=None, description="A decision threshold chosen on validation, where one was."
    )


class Candidates(BaseModel):
    """What ``models.json`` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    best: str = Field(description="Name of the candidate that is best on validation.")
    candidates: list[Candidate] = Field(description="Every candidate, in the order of fitting.")

    def named(self, name: str) -> Candidate:
        """Return the candidate called `name`."""
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        raise UnknownNameError("candidate", name, [candidate.name for candidate in self.candidates])


class CandidateSummary(BaseModel):
    """A candidate in a few figures, for results."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Name of the candidate.")
    family: str = Field(description="Its model family.")
    metrics: dict[str, float] = Field(description="Its metrics.")


class CandidateSpec(BaseModel):
    """A model to be fitted, its settings checked."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    name: str = Field(description="Name, unique among those fitted together.")
    family: str = Field(description="The model family.")
    settings: Any = Field(description="The family's settings.")

    def build(self) -> ModelFamily:
        """Return the unfitted model."""
        return MODELS.load(self.family)(self.settings)


def parse_candidates(documents: Sequence[Any]) -> list[CandidateSpec]:
    """Return what the ``models`` list of a configuration asks for.

    Each document is ``{type: <family>, name: <optional>, <hyper-parameter>: …}``; a name defaults to the family's,
    counted from the second one on.

    Raises
    ------
    ConfigError
        A family or hyper-parameter is unknown, out of bounds, or not exportable; or two candidates share a name.
    """
    specs: list[CandidateSpec] = []
    for document in documents:
        given = dict(document) if isinstance(document, dict) else document
        name = given.pop("name", None) if isinstance(given, dict) else None
        _, settings = backend_of(MODELS, given)
        same = sum(spec.family == given["type"] for spec in specs)
        name = str(name or given["type"] + (f"_{same + 1}" if same else ""))
        if not name.replace("_", "").replace("-", "").isalnum():
            raise ConfigError(f"A candidate is called {name!r}", expected="letters, digits, dashes and underscores")
        if name in [spec.name for spec in specs]:
            raise ConfigError(f"Two candidates are called {name!r}", hint="Give one of them another `name`")
        specs.append(CandidateSpec(name=name, family=given["type"], settings=settings))
    return specs


def check_matrix(matrix: Matrix, part: str, families: Sequence[str] = ()) -> None:
    """Raise unless `matrix` has both classes, and no missing values where one of `families` cannot take them.

    Raises
    ------
    TargetError
        The part holds one class only.
    SchemaMismatchError
        A feature holds NaN or infinity; names it and the families that refuse.
    """
    positives = int(matrix.y.sum())
    if positives in (0, len(matrix.y)):
        only = matrix.classes[-1] if positives else matrix.classes[0]
        raise TargetError(
            f"The {part} part ({len(matrix.y):,} rows) holds the class {only!r} only",
            expected="both classes in every part",
            known=matrix.classes,
            hint="Use a larger part, a stratified split, or another target",
        )
    strict = [family for family in families if not MODELS.load(family).accepts_missing]
    if strict:
        require_finite(matrix.X, matrix.names, family=" and ".join(dict.fromkeys(strict)))


def save_candidate(
    output: Output, spec: CandidateSpec, model: ModelFamily, *, seed: int, matrix: Matrix, metrics: dict[str, float]
) -> Candidate:
    """Write the native files of a fitted model into `output`, under a folder of its name; return its description."""
    with tempfile.TemporaryDirectory(prefix="aimass-model-") as folder:
        files = model.save(Path(folder))
        for name in files:
            output.put_file(f"{spec.name}/{name}", Path(folder) / name)
    return Candidate(
        name=spec.name,
        family=spec.family,
        settings=spec.settings.model_dump(mode="json"),
        seed=seed,
        folder=spec.name,
        files=files,
        metrics=metrics,
        features=len(matrix.names),
        classes=matrix.classes,
    )


def write_candidates(output: Output, best: str, candidates: Sequence[Candidate]) -> None:
    """Write ``models.json``."""
    document = Candidates(best=best, candidates=list(candidates)).model_dump(mode="json")
    output.write_file(MODELS_FILE, json.dumps(document, indent=1, ensure_ascii=False))


def load_candidates(artifact: Artifact) -> Candidates:
    """Return the candidates of a models artifact; ConfigError where it is none."""
    if MODELS_FILE not in artifact.names():
        raise ConfigError(
            f"{artifact.uri} was made by {artifact.manifest.stage!r} and holds no models",
            expected="the output of train or optimize",
        )
    try:
        return Candidates.model_validate(artifact.read_json(MODELS_FILE))
    except ValidationError as error:
        raise CorruptDataError(f"{artifact.uri}/{MODELS_FILE} does not describe models: {error}") from error


def load_model(artifact: Artifact, candidate: Candidate) -> ModelFamily:
    """Return a fitted model of the artifact."""
    family = MODELS.load(candidate.family)
    settings = parse_settings(family.Settings, candidate.settings, where=f"the candidate {candidate.name!r}")
    with tempfile.TemporaryDirectory(prefix="aimass-model-") as folder:
        for name in candidate.files:
            # Files fetched from a remote store are cached under another name than the family knows.
            shutil.copyfile(artifact.path(f"{candidate.folder}/{name}"), Path(folder) / name)
        return family.load(Path(folder), settings)
