"""The stages of a finished run once more, in this one process: what `benchmarks.overhead` compares with."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

PROJECT = "flights"


def published(store: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the folder and manifest of every output, in the order in which they were made."""
    files = store.glob(f"{PROJECT}/*/*/manifest.json")
    found = [(file.parent.as_uri(), json.loads(file.read_text())) for file in files]
    return sorted(found, key=lambda pair: Path(pair[0].removeprefix("file://"), "manifest.json").stat().st_mtime)


def translated(value: Any, moved: dict[str, str]) -> Any:
    """Return a configuration with the addresses of the first store's outputs replaced by ours."""
    if isinstance(value, dict):
        return {key: translated(inner, moved) for key, inner in value.items()}
    if isinstance(value, list):
        return [translated(inner, moved) for inner in value]
    return moved.get(value, value) if isinstance(value, str) else value


def main() -> int:
    """Run the stages and print the seconds that they took, imports included."""
    begin = time.perf_counter()
    from aimass.core.compute.local import LocalCompute, LocalSettings
    from aimass.core.deps import Runtime
    from aimass.core.failpoints import NoFailpoints
    from aimass.core.progress import SilentProgress

    source, target, tracking = sys.argv[1:]
    runtime = Runtime(store=target, project=PROJECT, tracking_uri=tracking)
    compute = LocalCompute(LocalSettings())
    moved: dict[str, str] = {}
    for folder, manifest in published(Path(source)):
        if manifest["stage"].startswith("optimize_"):
            continue  # plans and work are inside optimize, which does what nobody did before it
        config = translated(manifest["config"], moved)
        result = compute.run(manifest["stage"], config, runtime, progress=SilentProgress(), failpoints=NoFailpoints())
        moved[folder] = result["uri"]
    print(json.dumps({"seconds": time.perf_counter() - begin}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
