"""A model registry in a folder, which a test and a server's process share; it goes down where a file says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from onnx import TensorProto, helper

from aimass.core import settings
from aimass.core.errors import NotFoundError, UnreachableError
from aimass.core.features.raw import MASK_SUFFIX
from aimass.core.release.base import DIGEST_TAG, NEWEST_VERSIONS, Package, RegisteredModel, Version, check_graph
from aimass.core.storage import file_digest

COLUMNS = [
    {"name": "origin", "type": "string", "kind": "string"},
    {"name": "distance", "type": "double", "kind": "float"},
    {"name": "stops", "type": "int64", "kind": "int"},
]
ROW: dict[str, Any] = {"origin": "JFK", "distance": 0.25, "stops": 1}


class FolderSettings(settings.Settings):
    """Nothing is to set."""


class FolderRegistry:
    """Keeps everything in ``registry.json`` and folders of files beside it.

    Parameters
    ----------
    folder : Path
        Where it lies; a file ``down`` in it makes every call fail.
    """

    Settings: ClassVar[type[settings.Settings]] = FolderSettings

    def __init__(self, folder: Path, deps: Any = None) -> None:
        self.folder = folder
        self._file = folder / "registry.json"
        folder.mkdir(parents=True, exist_ok=True)
        if not self._file.exists():
            self._write({})

    # --- what tests do ----------------------------------------------------------------------------------------------

    def go_down(self) -> None:
        """Answer nobody until `come_up`."""
        (self.folder / "down").touch()

    def come_up(self) -> None:
        """Answer again."""
        (self.folder / "down").unlink()

    def add(self, name: str, bias: float, *, extra: str = "") -> Version:
        """Register a tiny model whose probability depends on `bias`; `extra` adds a column to its signature."""
        document = self._read()
        model = document.setdefault(name, {"project": "flights", "aliases": {}, "tags": {}, "versions": {}})
        number = str(len(model["versions"]) + 1)
        files = self.folder / name / number
        files.mkdir(parents=True)
        columns = [*COLUMNS, *([{"name": extra, "type": "double", "kind": "float"}] if extra else [])]
        write_model(files, bias, columns)
        model["versions"][number] = {"tags": {DIGEST_TAG: file_digest(files / "model.onnx")}}
        self._write(document)
        found = self.version(name, number)
        assert found is not None
        return found

    def grow(self, name: str, version: str, size_bytes: int) -> None:
        """Let a version's graph be larger by so much."""
        file = self.file(name, version, "model.onnx")
        graph = onnx.load_model(str(file))
        graph.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(size_bytes, dtype=np.uint8), "weight"))
        onnx.save_model(graph, str(file))
        self.redigest(name, version)

    def redigest(self, name: str, version: str) -> None:
        """Have a version's digest be that of its file as it is now."""
        self.set_tags(name, version, {DIGEST_TAG: file_digest(self.file(name, version, "model.onnx"))})

    def file(self, name: str, version: str, file: str) -> Path:
        """Return where a file of a version lies."""
        return self.folder / name / version / file

    # --- the protocol -----------------------------------------------------------------------------------------------

    def find(self, name: str, digest: str) -> Version | None:
        return next((found for found in reversed(self.versions(name)) if found.digest == digest), None)

    def register(self, package: Package) -> Version:
        raise NotFoundError("Tests register by `add`")

    def models(self) -> list[RegisteredModel]:
        return [
            RegisteredModel(name, model["project"], dict(model["aliases"]), dict(model["tags"]))
            for name, model in sorted(self._read().items())
        ]

    def model(self, name: str) -> RegisteredModel | None:
        return next((model for model in self.models() if model.name == name), None)

    def versions(self, name: str, *, limit: int = NEWEST_VERSIONS) -> list[Version]:
        model = self._read().get(name, {"versions": {}})
        return [_version(name, number, item) for number, item in reversed(model["versions"].items())][:limit]

    def version(self, name: str, number: str) -> Version | None:
        return next((found for found in self.versions(name) if found.version == number), None)

    def aliased(self, name: str, alias: str) -> Version | None:
        model = self.model(name)
        return self.version(name, model.aliases[alias]) if model is not None and alias in model.aliases else None

    def set_alias(self, name: str, alias: str, version: str) -> None:
        document = self._read()
        document[name]["aliases"][alias] = version
        self._write(document)

    def delete_alias(self, name: str, alias: str) -> None:
        document = self._read()
        document[name]["aliases"].pop(alias, None)
        self._write(document)

    def set_tags(self, name: str, version: str, tags: Mapping[str, str | None]) -> None:
        document = self._read()
        _update(document[name]["versions"][version]["tags"], tags)
        self._write(document)

    def set_model_tags(self, name: str, tags: Mapping[str, str | None]) -> None:
        document = self._read()
        _update(document[name]["tags"], tags)
        self._write(document)

    def fetch(self, version: Version, files: Sequence[str], folder: Path) -> list[Path]:
        self._read()
        for name in files:
            shutil.copyfile(self.folder / version.name / version.version / name, folder / name)
            check_graph(version, name, folder / name)
        return [folder / name for name in files]

    def _read(self) -> dict[str, Any]:
        if (self.folder / "down").exists():
            raise UnreachableError("The registry does not answer", hint="Check that it runs, then retry")
        document: dict[str, Any] = json.loads(self._file.read_text())
        return document

    def _write(self, document: dict[str, Any]) -> None:
        unborn = self._file.with_suffix(".new")
        unborn.write_text(json.dumps(document))
        unborn.replace(self._file)


def _version(name: str, number: str, item: Mapping[str, Any]) -> Version:
    tags = dict(item["tags"])
    return Version(name, number, tags[DIGEST_TAG], tags, f"models:/{name}/{number}")


def _update(tags: dict[str, str], changes: Mapping[str, str | None]) -> None:
    for key, value in changes.items():
        if value is None:
            tags.pop(key, None)
        else:
            tags[key] = value


def write_model(folder: Path, bias: float, columns: Sequence[Mapping[str, str]]) -> None:
    """Write a graph whose probability is sigmoid(distance + stops + bias), and its signature.

    `columns` hold a distance; other columns than these two are not looked at. A bias that is not a number makes every
    answer NaN.
    """
    shapes = {"string": TensorProto.STRING, "float": TensorProto.DOUBLE, "int": TensorProto.INT64}
    inputs = [helper.make_tensor_value_info(column["name"], shapes[column["kind"]], ["N"]) for column in columns]
    masks = [column["name"] + MASK_SUFFIX for column in columns if column["kind"] == "int"]
    inputs += [helper.make_tensor_value_info(name, TensorProto.BOOL, ["N"]) for name in masks]
    stops = "stops" if any(column["name"] == "stops" for column in columns) else "zero"
    nodes = [
        helper.make_node("Cast", ["distance"], ["far"], to=TensorProto.FLOAT),
        helper.make_node("Cast", [stops], ["many"], to=TensorProto.FLOAT),
        helper.make_node("IsNaN", ["far"], ["no_distance"]),
        helper.make_node("Where", ["no_distance", "zero", "far"], ["distance_known"]),
        helper.make_node("Add", ["distance_known", "many"], ["part"]),
        helper.make_node("Add", ["part", "bias"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["probability"]),
        helper.make_node("Greater", ["probability", "half"], ["above"]),
        helper.make_node("Cast", ["above"], ["label"], to=TensorProto.INT64),
    ]
    constants = {"bias": bias, "half": 0.5, "zero": 0.0}
    graph = helper.make_graph(
        nodes,
        "late",
        inputs,
        [
            helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
        ],
        [onnx.numpy_helper.from_array(np.array([value], dtype=np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    helper.set_model_props(model, {"aimass.classes": '["no", "yes"]', "aimass.threshold": "0.5"})
    onnx.save_model(model, str(folder / "model.onnx"))
    (folder / "graph.json").write_text(json.dumps({"format_version": 1, "raw": list(columns)}))
