"""How long `make demo` takes: in a fresh clone, and again when nothing has changed."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure, conclude

ROOT = Path(__file__).resolve().parent.parent
COLD_GOAL_S, PIPELINE_GOAL_S, WARM_GOAL_S = 600, 240, 60


def timed(target: str, clone: Path) -> tuple[float, str]:
    """Run a make target in the clone, showing what it says; return its seconds and its words."""
    begin = time.perf_counter()
    command = ["make", "--no-print-directory", target]
    process = subprocess.Popen(command, cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    if process.wait():
        raise SystemExit(f"`make {target}` failed with exit status {process.returncode}")
    return time.perf_counter() - begin, "".join(lines)


def run_seconds(words: str) -> float:
    """Return how long the pipeline itself took, by the demo's own words."""
    found = re.search(r"The run took ([0-9.]+) s", words)
    assert found, words[-2000:]
    return float(found[1])


def main() -> int:
    """Measure and judge; packages come from wherever the machine's installer finds them, its cache included."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo_time", description=__doc__)
    parser.add_argument("--long", action="store_true", help="no difference: once cold and once warm")
    parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aimass-demo-") as name:
        clone = Path(name) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        try:
            cold, said = timed("demo", clone)
            warm, _ = timed("demo", clone)
        finally:
            subprocess.run(["make", "--no-print-directory", "down"], cwd=clone, check=False)
    return conclude(
        "demo_time",
        [
            Figure("cold: fresh clone to released model", cold, "s", goal=COLD_GOAL_S),
            Figure("of which the pipeline", run_seconds(said), "s", goal=PIPELINE_GOAL_S),
            Figure("warm: nothing changed", warm, "s", goal=WARM_GOAL_S),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
