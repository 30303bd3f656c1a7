"""The MLflow model registry: versions with signature and example, aliases, tags."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import yaml

from aimass.core import settings
from aimass.core.deps import Deps
from aimass.core.errors import AimassError, NotFoundError
from aimass.core.release.base import (
    DIGEST_TAG,
    GRAPH_FILE,
    NEWEST_VERSIONS,
    PROJECT_TAG,
    Package,
    RegisteredModel,
    Version,
    check_graph,
)
from aimass.core.tracking import tracker_of
from aimass.core.tracking.connection import connect, mlflow_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient

ARTIFACT_FOLDER = "model"
MODELS_PER_REQUEST = 1000
NO_SUCH_VERSION = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
LOADED_WITH = ("mlflow-skinny", "numpy", "onnx", "onnxruntime", "pandas")


class MLflowSettings(settings.Settings):
    """The addresses and the token come from the runtime; nothing else is to set."""


class MLflowRegistry:
    """Versions live in the registry, their files in the artifacts of one run per digest.

    Works against a server (HTTP) and against a database in this process (SQLite).
    """

    Settings: ClassVar[type[settings.Settings]] = MLflowSettings

    def __init__(self, settings: MLflowSettings, deps: Deps) -> None:
        self.settings = settings
        self._deps = deps

    def find(self, name: str, digest: str) -> Version | None:
        """Return the oldest version of `name` with that digest, or None."""
        with self._connected() as client:
            return self._find(client, name, digest)

    def register(self, package: Package) -> Version:
        """Return the version with the package's digest; it is made where there is none."""
        with self._connected() as client:
            found = self._find(client, package.name, package.digest)
            if found is not None:
                return found
            self._ensure_model(client, package.name)
            run_id = self._upload(client, package)
            self._deps.failpoints.hit("before_register")
            client.create_model_version(
                package.name,
                source=f"runs:/{run_id}/{ARTIFACT_FOLDER}",
                run_id=run_id,
                tags={**package.tags, DIGEST_TAG: package.digest},
                description=package.description,
            )
            self._deps.failpoints.hit("after_register")
            return self._keep_oldest(client, package)

    def models(self) -> list[RegisteredModel]:
        """Return every registered model, by name."""
        found: list[RegisteredModel] = []
        token: str | None = ""
        with self._connected() as client:
            while token is not None:
                answer = client.search_registered_models(
                    max_results=MODELS_PER_REQUEST, order_by=["name"], page_token=token or None
                )
                found += map(_registered, answer)
                token = answer.token or None
        return found

    def model(self, name: str) -> RegisteredModel | None:
        """Return the model called `name`, or None."""
        with self._connected() as client:
            found = self._model(client, name)
            return _registered(found) if found is not None else None

    def versions(self, name: str, *, limit: int = NEWEST_VERSIONS) -> list[Version]:
        """Return the versions of `name`, the newest first, at most `limit`; none where there is no such model."""
        with self._connected() as client:
            found = client.search_model_versions(f"name='{name}'", max_results=limit, order_by=["version_number DESC"])
            return [_version(item) for item in found]

    def version(self, name: str, number: str) -> Version | None:
        """Return the version of `name` with that number, or None."""
        with self._connected() as client:
            try:
                return _version(client.get_model_version(name, number))
            except Exception as error:
                if _code(error) in NO_SUCH_VERSION:
                    return None
                raise

    def aliased(self, name: str, alias: str) -> Version | None:
        """Return the version that `alias` points at, or None."""
        with self._connected() as client:
            model = self._model(client, name)
            number = dict(model.aliases).get(alias) if model is not None else None
            return _version(client.get_model_version(name, str(number))) if number is not None else None

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point `alias` at `version`."""
        with self._connected() as client:
            try:
                client.set_registered_model_alias(name, alias, version)
            except Exception as error:
                if _code(error) in NO_SUCH_VERSION:
                    raise NotFoundError(
                        f"The model {name!r} has no version {version}", hint="Release it first"
                    ) from error
                raise

    def delete_alias(self, name: str, alias: str) -> None:
        """Take `alias` away; where it is not, nothing happens."""
        with self._connected() as client:
            client.delete_registered_model_alias(name, alias)

    def set_tags(self, name: str, version: str, tags: Mapping[str, str | None]) -> None:
        """Add or replace tags of a version; None takes a tag away."""
        with self._connected() as client:
            for key, value in tags.items():
                if value is None:
                    client.delete_model_version_tag(name, version, key)
                else:
                    client.set_model_version_tag(name, version, key, value)

    def set_model_tags(self, name: str, tags: Mapping[str, str | None]) -> None:
        """Add or replace tags of a model; None takes a tag away."""
        with self._connected() as client:
            for key, value in tags.items():
                if value is None:
                    client.delete_registered_model_tag(name, key)
                else:
                    client.set_registered_model_tag(name, key, value)

    def fetch(self, version: Version, files: Sequence[str], folder: Path) -> list[Path]:
        """Download files of a version into `folder`, each whole or not at all; return their paths, in order."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        folder.mkdir(parents=True, exist_ok=True)
        with self._connected() as client, tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as staging:
            address = client.get_model_version_download_uri(version.name, version.version)
            artifacts = get_artifact_repository(address, tracking_uri=client.tracking_uri)
            for parent in sorted({os.path.dirname(file) for file in files}):
                known = [item.path for item in artifacts.list_artifacts(parent or None)]
                missing = [file for file in files if os.path.dirname(file) == parent and file not in known]
                if missing:
                    raise NotFoundError(f"{version.uri} has no file {missing[0]!r}", known=known)
            for file in files:
                path = Path(artifacts.download_artifacts(file, staging))  # type: ignore[no-untyped-call]
                check_graph(version, file, path)
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                path.replace(folder / file)
        return [folder / file for file in files]

    @contextlib.contextmanager
    def _connected(self) -> Iterator[MlflowClient]:
        with mlflow_errors(self._deps):
            yield connect(self._deps)

    def _model(self, client: MlflowClient, name: str) -> Any:
        try:
            return client.get_registered_model(name)
        except Exception as error:
            if _code(error) == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _ensure_model(self, client: MlflowClient, name: str) -> None:
        try:
            client.create_registered_model(name, tags={PROJECT_TAG: self._deps.project})
        except Exception as error:
            if _code(error) != "RESOURCE_ALREADY_EXISTS":
                raise

    def _find(self, client: MlflowClient, name: str, digest: str) -> Version | None:
        found = self._all(client, name, digest)
        return found[0] if found else None

    def _all(self, client: MlflowClient, name: str, digest: str) -> list[Version]:
        found = client.search_model_versions(f"name='{name}' and tags.`{DIGEST_TAG}`='{digest}'", max_results=100)
        return sorted((_version(item) for item in found), key=lambda version: int(version.version))

    def _keep_oldest(self, client: MlflowClient, package: Package) -> Version:
        """Return the oldest version of the digest and delete the others: two releases may have met."""
        oldest, *others = self._all(client, package.name, package.digest)
        for other in others:
            client.delete_model_version(other.name, other.version)
        return oldest

    def _upload(self, client: MlflowClient, package: Package) -> str:
        """Write the files of the version into the artifacts of the digest's own run; return the run's id."""
        params = {"name": package.name, "digest": package.digest}
        with (
            tempfile.TemporaryDirectory(prefix="aimass-release-") as folder,
            tracker_of(self._deps).run(
                f"release {package.name}", key=f"release-{package.digest}", params=params
            ) as run,
        ):
            target = Path(folder) / ARTIFACT_FOLDER
            _save(package, target)
            client.log_artifacts(run.run_id, str(target), ARTIFACT_FOLDER)
            run.log_metrics(package.metrics)
            return run.run_id


def _save(package: Package, target: Path) -> None:
    """Lay out an MLflow model in `target`; its graph is the published file, byte by byte.

    What `mlflow.onnx.save_model` writes, without its search through every installed package (seconds) and without
    writing the graph anew.
    """
    import mlflow.pyfunc
    from mlflow.models import Model
    from mlflow.models.utils import _save_example

    target.mkdir()
    model = Model(signature=_signature(package))
    _save_example(model, package.example, str(target))
    for name, path in {**package.files, GRAPH_FILE: package.onnx_file}.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / name)
    mlflow.pyfunc.add_to_model(
        model, loader_module="mlflow.onnx", data=GRAPH_FILE, conda_env="conda.yaml", python_env="python_env.yaml"
    )
    model.add_flavor(
        "onnx",
        onnx_version=installed_version("onnx"),
        data=GRAPH_FILE,
        providers=["CPUExecutionProvider"],
        # With one thread an answer does not depend on who else is in the batch.
        onnx_session_options={"intra_op_num_threads": 1, "inter_op_num_threads": 1, "execution_mode": "sequential"},
        code=None,
    )
    model.save(str(target / "MLmodel"))
    _write_environment(target)


def _signature(package: Package) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(arrays: Mapping[str, Any]) -> Schema:
        return Schema([TensorSpec(array.dtype, (-1, *array.shape[1:]), name) for name, array in arrays.items()])

    return ModelSignature(inputs=schema(package.example), outputs=schema(package.outputs()))


def _write_environment(target: Path) -> None:
    """Write what `mlflow models serve` would install to load the model."""
    requirements = [f"{name}=={installed_version(name)}" for name in LOADED_WITH]
    python = platform.python_version()
    (target / "requirements.txt").write_text("\n".join(requirements) + "\n")
    virtual = {"python": python, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]}
    (target / "python_env.yaml").write_text(yaml.safe_dump(virtual, sort_keys=False))
    packages = [f"python={python}", "pip", {"pip": requirements}]
    conda = {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": packages}
    (target / "conda.yaml").write_text(yaml.safe_dump(conda, sort_keys=False))


def _version(item: Any) -> Version:
    tags = dict(item.tags)
    return Version(
        name=item.name,
        version=str(item.version),
        digest=tags.get(DIGEST_TAG, ""),
        tags=tags,
        uri=f"models:/{item.name}/{item.version}",
        created_at=datetime.fromtimestamp(item.creation_timestamp / 1000, UTC) if item.creation_timestamp else None,
    )


def _registered(item: Any) -> RegisteredModel:
    aliases = {alias: str(number) for alias, number in dict(item.aliases).items()}
    tags = dict(item.tags)
    return RegisteredModel(item.name, tags.get(PROJECT_TAG, ""), aliases, tags)


def _code(error: Exception) -> str:
    return "" if isinstance(error, AimassError) else str(getattr(error, "error_code", ""))
