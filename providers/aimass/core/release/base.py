"""What a model registry is: versions of named models, and aliases that say which version is in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.errors import CorruptDataError
from aimass.core.storage import file_digest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DIGEST_TAG = "aimass.digest"
"""Tag of a version: sha256 of its model.onnx."""

PROJECT_TAG = "aimass.project"
"""Tag of a model and of its versions: the pipeline that releases it."""

METRICS_TAG = "aimass.metrics"
"""Tag of a version: what the evaluation measured on the test part, as JSON."""

TRAFFIC_TAG = "aimass.traffic"
"""Tag of a model: shares of its aliases among requests that name neither version nor alias, as JSON."""

SERVE_TAG = "aimass.serve"
"""Tag of a model: ``off`` takes it from every server."""

STATE_TAG = "aimass.state"
"""Tag of a version that is on its way out: deprecated, draining or archived."""

BAD_TAG = "aimass.bad"
"""Tag of a version that was rolled back: why."""

GRAPH_FILE = "model.onnx"
"""The graph among a version's files."""

NEWEST_VERSIONS = 100
"""How many versions `ModelRegistry.versions` returns unless it is told otherwise."""

ALIAS_PATTERN = r"^(?!v\d+$)(?!latest$)[A-Za-z_-][A-Za-z0-9_-]{0,63}$"
"""What an alias may be called; ``latest`` and ``v1`` name versions in MLflow."""

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,126}$"
"""What a model may be called: neither ``/`` nor ``:``, which addresses use."""


@dataclass(frozen=True)
class Version:
    """One version of a registered model.

    Attributes
    ----------
    name, version : str
        Its address.
    digest : str
        sha256 of its model.onnx.
    tags : dict
        What else is known of it.
    uri : str
        Where clients load it from, such as ``models:/flights_late/3``.
    created_at : datetime or None
        When it was registered (UTC).
    """

    name: str
    version: str
    digest: str
    tags: dict[str, str]
    uri: str
    created_at: datetime | None = None


@dataclass(frozen=True)
class RegisteredModel:
    """A name in the registry.

    Attributes
    ----------
    name : str
        Its name.
    project : str
        The pipeline that releases it; empty where something else registered it.
    aliases : dict of str to str
        Number of the version that each alias points at.
    tags : dict
        What else is known of it.
    """

    name: str
    project: str
    aliases: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Package:
    """What is handed to the registry.

    Attributes
    ----------
    name : str
        Name of the registered model.
    digest : str
        sha256 of `onnx_file`.
    onnx_file : Path
        The graph.
    example : dict of arrays
        Inputs by name, each of shape (n_rows,).
    files : dict of str to Path
        Everything that travels beside the graph: card, certificate, native model; by path inside the version.
    tags : dict
        Tags of the version.
    metrics : dict
        What the evaluation measured.
    description : str
        One line for people.
    """

    name: str
    digest: str
    onnx_file: Path
    example: dict[str, npt.NDArray[Any]]
    files: dict[str, Path] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    description: str = ""

    def outputs(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return what the graph answers to the example."""
        import onnxruntime as ort

        session = ort.InferenceSession(str(self.onnx_file), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, self.example), strict=True))


def check_graph(version: Version, file: str, path: Path) -> None:
    """Raise CorruptDataError, and delete the file at `path`, where it is to be model.onnx and is another."""
    if file == GRAPH_FILE and (digest := file_digest(path)) != version.digest:
        path.unlink()
        raise CorruptDataError(
            f"{GRAPH_FILE} of {version.uri} has the digest {digest[:12]}…",
            expected=f"{version.digest[:12]}…, as it was registered",
            hint="Somebody changed the file in the artifact store; put it back, or release the model again",
        )


class ModelRegistry(Protocol):
    """Versions and aliases of named models. Constructed as ``Registry(settings, deps)``.

    Every method raises UnreachableError, within bounded time, where the server does not answer, and NotAllowedError
    where it refuses the credentials. Two calls with the same arguments leave what one leaves.
    """

    Settings: ClassVar[type[settings.Settings]]

    def __init__(self, settings: Any, deps: Deps) -> None: ...

    def find(self, name: str, digest: str) -> Version | None:
        """Return the oldest version of `name` with that digest, or None."""

    def register(self, package: Package) -> Version:
        """Return the version with the package's digest; it is made where there is none."""

    def models(self) -> list[RegisteredModel]:
        """Return every registered model, by name."""

    def model(self, name: str) -> RegisteredModel | None:
        """Return the model called `name`, or None."""

    def versions(self, name: str, *, limit: int = NEWEST_VERSIONS) -> list[Version]:
        """Return the versions of `name`, the newest first, at most `limit`; none where there is no such model."""

    def version(self, name: str, number: str) -> Version | None:
        """Return the version of `name` with that number, or None."""

    def aliased(self, name: str, alias: str) -> Version | None:
        """Return the version that `alias` points at, or None."""

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point `alias` at `version`.

        Raises NotFoundError where there is no such version.
        """

    def delete_alias(self, name: str, alias: str) -> None:
        """Take `alias` away; where it is not, nothing happens.

        Raises NotFoundError where there is no such model.
        """

    def set_tags(self, name: str, version: str, tags: Mapping[str, str | None]) -> None:
        """Add or replace tags of a version; None takes a tag away.

        Raises NotFoundError where there is no such version.
        """

    def set_model_tags(self, name: str, tags: Mapping[str, str | None]) -> None:
        """Add or replace tags of a model; None takes a tag away.

        Raises NotFoundError where there is no such model.
        """

    def fetch(self, version: Version, files: Sequence[str], folder: Path) -> list[Path]:
        """Download files of a version into `folder`, each whole or not at all; return their paths, in order.

        `files` are paths inside the version, such as ``model.onnx`` and ``native/model.txt``.

        Raises NotFoundError where the version has no such file, and CorruptDataError where model.onnx is not what was
        registered.
        """
