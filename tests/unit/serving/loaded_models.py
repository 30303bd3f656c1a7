"""Tiny versions in memory, for tests of what stands around them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from aimass.core.storage import file_digest
from aimass.serving.loaded import LoadedModel
from tests.services.folder_registry import COLUMNS, write_model


def tiny(
    name: str = "late", version: str = "1", bias: float = 0.1, *, extra: str = "", kind: str = "float"
) -> LoadedModel:
    """Return a version whose probability depends on `bias`; `extra` is one more column, which it leaves aside."""
    columns = [*COLUMNS, *([{"name": extra, "type": "double", "kind": kind}] if extra else [])]
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), bias, columns)
        file = Path(folder, "model.onnx")
        return LoadedModel.load(
            file, file.with_name("graph.json"), name=name, version=version, digest=file_digest(file), project="flights"
        )
