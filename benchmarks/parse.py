"""What our DAG files and operator modules add to Airflow's own start: paid by each parse and each task."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import conclude, figure

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "providers" / "aimass"
FOLDERS = ("operators", "sensors", "triggers", "links", "notifications", "listeners")
PARSE_GOAL_S = 1.0
IMPORT_GOAL_S = 0.15

# The dag-processor forks for each file with Airflow imported already: so do we.
PARSE = """
import json, sys, time
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
start = time.perf_counter()
bag = DagBag(sys.argv[1])
seconds = time.perf_counter() - start
assert bag.dags and not bag.import_errors, bag.import_errors
print(json.dumps({"seconds": seconds, "dags": len(bag.dags)}))
"""
IMPORT = """
import importlib, json, sys, time
start = time.perf_counter()
import airflow.sdk
middle = time.perf_counter()
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps({"airflow": middle - start, "ours": time.perf_counter() - middle}))
"""


def measure(code: str, arguments: list[str], home: Path) -> dict[str, float]:
    """Run `code` in a fresh process and return what it measured."""
    env = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{home / 'airflow.db'}"
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def module_names() -> list[str]:
    """Return every module that an operator, sensor or link lives in."""
    files = sorted(file for folder in FOLDERS for file in (PACKAGE / folder).glob("*.py"))
    return [f"aimass.{file.parent.name}.{file.stem}" for file in files if file.stem != "__init__"]


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parse", description=__doc__)
    parser.add_argument("--long", action="store_true", help="25 repetitions instead of 5")
    repetitions = 25 if parser.parse_args().long else 5
    names = module_names()
    dags = str(ROOT / "dags")
    with tempfile.TemporaryDirectory() as home:
        first = measure(PARSE, [dags], Path(home))
        measure(IMPORT, names, Path(home))  # writes bytecode
        pairs = [(measure(PARSE, [dags], Path(home)), measure(IMPORT, names, Path(home))) for _ in range(repetitions)]
    print(f"{first['dags']:.0f} DAGs, {len(names)} modules, {repetitions} repetitions")
    imported = [each["ours"] for _, each in pairs]
    own = [each["airflow"] for _, each in pairs]
    return conclude(
        "parse",
        [
            figure("all DAG files", [parsed["seconds"] for parsed, _ in pairs], "s", goal=PARSE_GOAL_S),
            figure("all DAG files, first time after a change", [first["seconds"]], "s"),
            figure("operator modules (peer: import airflow.sdk)", imported, "s", peer=own, goal=IMPORT_GOAL_S),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
