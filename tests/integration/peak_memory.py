"""How much memory a read takes in all, by a process of its own: Arrow counts nothing of what client libraries hold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from aimass.core.backends import backend_of
from aimass.core.deps import Deps, Runtime
from aimass.core.sources import SOURCES

ROOT = Path(__file__).resolve().parents[2]


def growth_bytes(
    deps: Deps, less: dict[str, Any], more: dict[str, Any], *, sizes: dict[str, int] | None = None
) -> tuple[int, int]:
    """Read `less`, and then `more`; return by how much the latter raised the process's peak, and how much it read.

    Parameters
    ----------
    deps : Deps
        Where the sources are.
    less, more : dict
        Two documents of sources; the first must be enough to fill all that holds a bounded amount.
    sizes : dict, optional
        Constants to make smaller, as "module:NAME", so that little is enough.
    """
    known = {name: sealed.get_secret_value() for name, sealed in deps.runtime.connections.items()}
    runtime = {"store": deps.runtime.store, "connections": known}
    asked = {"runtime": runtime, "sources": [less, more], "sizes": sizes or {}}
    command = [sys.executable, "-W", "ignore", "-m", __name__]
    done = subprocess.run(
        command, input=json.dumps(asked), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (before, _), (after, read) = json.loads(done.stdout.splitlines()[-1])
    return after - before, read


def _peak_bytes() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) << 10


def _read(document: dict[str, Any], deps: Deps) -> int:
    backend, settings = backend_of(SOURCES, document)
    source: Any = backend(settings, deps)
    return sum(batch.rows.nbytes for batch in source.read(source.position()))


def _main() -> None:
    asked = json.load(sys.stdin)
    for place, size in asked["sizes"].items():
        module, _, name = place.partition(":")
        setattr(import_module(module), name, size)
    deps = Deps.from_runtime(Runtime.model_validate(asked["runtime"]))
    told = []
    for document in asked["sources"]:
        read = _read(document, deps)
        told.append((_peak_bytes(), read))
    print(json.dumps(told))


if __name__ == "__main__":
    _main()
