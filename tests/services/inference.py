"""A real inference server, in processes of its own, before a registry in a folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.services.folder_registry import ROW, FolderRegistry
from tests.services.server import free_port, running

WAIT_S = 30.0


class Inference:
    """A server that runs.

    Parameters
    ----------
    port : int
        Where it listens.
    pid : int
        Its supervisor.
    folder : Path
        Where its cache, its store and its log lie.
    """

    def __init__(self, port: int, pid: int, folder: Path) -> None:
        self.port = port
        self.pid = pid
        self.folder = folder
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20.0)

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def status(self) -> dict[str, Any]:
        """Return what it says of itself; empty while it does not answer."""
        with contextlib.suppress(httpx.TransportError):
            answer: dict[str, Any] = self.http.get("/aimass/status").json()
            return answer
        return {}

    def model(self, name: str = "late") -> dict[str, Any]:
        """Return what it says of a model; empty where it knows none."""
        return next((model for model in self.status().get("models", []) if model["name"] == name), {})

    def workers(self) -> list[int]:
        return [worker["pid"] for worker in self.status().get("workers", [])]

    def sync(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.post("/aimass/sync").raise_for_status().json()
        return answer

    def predict(self, name: str = "late", **more: Any) -> httpx.Response:
        return self.http.post(f"/predict/{name}", json={"rows": [ROW]}, **more)

    def wait_for(self, what: Callable[[], Any], *, timeout_s: float = WAIT_S) -> Any:
        """Return what `what` returns once that is true; fail with the log's end when time is up."""
        deadline = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(httpx.TransportError):
                found = what()
                if found:
                    return found
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {timeout_s} s in vain; the log ends\n{self.log[-3000:]}")
            time.sleep(0.05)

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def inference_server(
    folder: Path, registry: FolderRegistry, *, ready: bool = True, **options: Any
) -> Iterator[Inference]:
    """Yield a running server; `options` are those of `ServeConfig`, and `largest_file` in bytes, which fills a disk."""
    port = options.pop("port", None) or free_port()
    limit = options.pop("largest_file", 0)
    given = {"port": port, "cache_dir": folder / "cache", "registry_poll_s": 0.5, "server_id": "s", **options}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    command = [sys.executable, "-m", "tests.services.inference", str(registry.folder), str(limit), *words]
    url = f"http://127.0.0.1:{port}/v2/health/{'ready' if ready else 'live'}"

    def answers() -> bool:
        try:
            return httpx.get(url, timeout=5.0).status_code == 200
        except httpx.TransportError:
            return False

    folder.mkdir(parents=True, exist_ok=True)
    with running(command, log=folder / "server.log", is_ready=answers) as process:
        server = Inference(port, process.pid, folder)
        try:
            yield server
        finally:
            server.http.close()


def main() -> None:
    """Serve: what ``python -m aimass.serving`` does, before another registry."""
    import argparse

    from aimass.serving.logs import set_up_logs
    from aimass.serving.options import add_options, read_config
    from aimass.serving.supervisor import Supervisor

    parser = argparse.ArgumentParser()
    parser.add_argument("registry")
    parser.add_argument("largest_file", type=int)
    add_options(parser)
    given = parser.parse_args()
    if given.largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (given.largest_file, given.largest_file))
    set_up_logs()
    asyncio.run(Supervisor(read_config(given), FolderRegistry(Path(given.registry)), given.registry).run())


if __name__ == "__main__":
    main()
