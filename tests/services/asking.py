"""The request side of one worker inside a test's process, with fakes behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx

from aimass.serving.app import App
from aimass.serving.config import ServeConfig
from aimass.serving.context import WorkerContext
from aimass.serving.engine import Engine
from aimass.serving.loaded import LoadedModel
from aimass.serving.security import Tokens
from aimass.serving.testing import MemoryControl, MemoryJournal, MemoryTable
from tests.services.folder_registry import COLUMNS, write_model

T = TypeVar("T")


def load(folder: Path, version: str = "1", *, bias: float = 0.0, extra: str = "", name: str = "late") -> LoadedModel:
    """Return a tiny version in memory, warm."""
    files = folder / f"{name}-{version}"
    files.mkdir(parents=True)
    write_model(files, bias, [*COLUMNS, *([{"name": extra, "type": "double", "kind": "float"}] if extra else [])])
    loaded = LoadedModel.load(
        files / "model.onnx", files / "graph.json", name=name, version=version, digest=version * 64, project="flights"
    )
    loaded.warm()
    return loaded


class Asked:
    """A worker's request side and its fakes; every request runs in one event loop.

    Parameters
    ----------
    tokens : Tokens
        Who may ask.
    options
        Of `ServeConfig`.
    """

    def __init__(self, tokens: Tokens | None = None, **options: Any) -> None:
        self.table, self.journal, self.control = MemoryTable(), MemoryJournal(), MemoryControl()
        self.context = WorkerContext(ServeConfig(**options), self.table, self.journal, self.control)
        self.runner = asyncio.Runner()
        self.engine = Engine(self.context)
        transport = httpx.ASGITransport(App(self.engine, tokens or Tokens()))  # type: ignore[arg-type]
        self.http = httpx.AsyncClient(transport=transport, base_url="http://server")

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the worker's loop."""
        return self.runner.run(what)

    def get(self, path: str, **more: Any) -> httpx.Response:
        """Ask with GET."""
        return self.run(self.http.get(path, **more))

    def post(self, path: str, json: Any = None, **more: Any) -> httpx.Response:
        """Ask with POST."""
        return self.run(self.http.post(path, json=json, **more))

    def predict(self, *rows: dict[str, Any], query: str = "", **more: Any) -> httpx.Response:
        """Ask for predictions of the model ``late``."""
        return self.post(f"/predict/late{query}", {"rows": list(rows)}, **more)

    def close(self) -> None:
        """End it."""
        self.run(self.http.aclose())
        self.engine.stop()
        self.runner.close()
