"""Run every benchmark in a process of its own; exit 0 only if every goal is met."""

from __future__ import annotations

import argparse
import subprocess
import sys

NAMES = (
    "parse",
    "memory",
    "ui_overview",
    "overhead",
    "demo_time",
    "serve_single",
    "serve_limit",
    "serve_batch",
    "switch",
    "drift",
    "drift_calibration",
    "ingest_mysql",
    "ingest_mongodb",
    "ingest_kafka",
    "ingest_hdfs",
    "ingest_obs",
)


def main() -> int:
    """Run them one after the other, so that none disturbs another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--long", action="store_true", help="more repetitions and larger inputs")
    extra = ["--long"] if parser.parse_args().long else []
    missed = []
    for name in NAMES:
        print(f"\n=== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *extra], check=False).returncode:
            missed.append(name)
    print(f"\nnot met: {', '.join(missed)}" if missed else "\nevery goal is met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
