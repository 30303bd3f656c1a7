"""Drift of a million rows of twenty columns: the stage `monitor` beside Evidently, each in a process of its own.

Ours reads the prediction log, judges it against the profile that the release made, and writes its two pages; Evidently
reads both tables, judges one against the other and writes its page. Both start from Parquet files; imports count for
neither. On the published shifts both must name the same columns.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.child import run_child
from benchmarks.figures import Figure, conclude, figure

ROWS = 1_000_000
GOAL_SHARE = 1 / 40
GOAL_MB = 500
SHIFTED = ("mean + 0.25 sd", "mean + 0.5 sd", "spread x 1.5", "25 % another known category", "5 % an unseen category")
"""Shifts of `drift_rows` that both should name; Evidently does not look at missing values."""
START, HOUR = datetime(2026, 4, 1, 12, tzinfo=UTC), timedelta(hours=1)
MODEL, VERSION = "late", "1"


def prepare(folder: Path, count: int) -> dict[str, Any]:
    """Write both tables, and do what release and server do before: the profile and the prediction log."""
    import numpy as np
    import polars as pl

    from aimass.core.monitoring.profile import PROFILE_FILE, Profile
    from benchmarks.drift_rows import KINDS, RAW, rows, shifted

    generator = np.random.default_rng(1)
    reference = rows(count, generator)
    reference.select(list(KINDS)).write_parquet(folder / "reference.parquet")
    window = shifted(rows(count, generator), SHIFTED, generator)
    window.select(list(KINDS)).write_parquet(folder / "window.parquet")
    begin = time.perf_counter()
    scanned = pl.scan_parquet(folder / "reference.parquet")
    profile = Profile.of_frame(scanned, RAW, count).with_answers([reference.head(100_000)])
    seconds = time.perf_counter() - begin
    (folder / PROFILE_FILE).write_text(json.dumps(profile.document()))
    write_log(folder, window)
    return {"seconds": seconds}


def write_log(folder: Path, window: Any) -> None:
    """Publish `window` as one segment of the prediction log."""
    import polars as pl

    from aimass.core.datasets import DatasetWriter
    from aimass.core.manifest import Manifest, publish_manifest
    from aimass.core.monitoring import log

    deps = make_deps(folder)
    uri = f"{log.log_folder(deps.store, deps.project, MODEL)}/{log.segment_name(START, 'here', VERSION, 0)}"
    step = HOUR / window.height
    logged = window.with_columns(
        pl.int_range(pl.len()).cast(pl.String).alias(log.REQUEST_ID),
        pl.lit(0, dtype=pl.Int32).alias(log.ROW),
        (pl.lit(START) + pl.int_range(pl.len()) * step).alias(log.AT),
        pl.lit(VERSION).alias(log.VERSION),
        pl.lit("champion").alias(log.ALIAS),
        pl.lit(0.5, dtype=pl.Float32).alias(log.LATENCY_MS),
        pl.lit(1, dtype=pl.Int8).alias(log.THREADS),
    )
    writer = DatasetWriter(deps.store, uri)
    writer.write(logged)
    writer.close()
    facts = {"model": MODEL, "version": VERSION, "start": START.isoformat(), "end": (START + HOUR).isoformat()}
    manifest = Manifest(
        kind="dataset",
        project=deps.project,
        stage=log.PREDICTIONS,
        key=uri,
        code_version=1,
        config={},
        columns=writer.columns,
        parts=writer.parts,
        result={**facts, "rows": window.height},
        created_at=START.isoformat(),
    )
    publish_manifest(deps.store, uri, manifest)


def make_deps(folder: Path) -> Any:
    """Return surroundings whose store lies in `folder`."""
    from aimass.core.deps import Deps, Runtime

    return Deps.from_runtime(Runtime(store=str(folder / "store"), project="benchmark"))


def register(folder: Path, deps: Any) -> None:
    """Register a version that has the profile; its graph is never run."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper

    from aimass.core.monitoring.profile import PROFILE_FILE
    from aimass.core.release.base import Package
    from aimass.core.release.promotion import open_registry
    from aimass.core.storage import file_digest

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(model)
    files = {PROFILE_FILE: folder / PROFILE_FILE}
    example = {"x": np.zeros(1, dtype=np.float32)}
    open_registry({"type": "memory"}, deps).register(Package(MODEL, file_digest(path), path, example, files))


def ours(folder: Path) -> dict[str, Any]:
    """Run the stage on the log; return what it named and how long it took."""
    from aimass.core.stages.monitor import STAGE

    STAGE.preload()
    deps = make_deps(folder)
    register(folder, deps)
    # Another seed each time: the same one would find the result of the run before.
    settings = {"model": MODEL, "registry": {"type": "memory"}, "seed": time.time_ns() % 1_000_000}
    config = STAGE.parse({**settings, "start": START.isoformat(), "end": (START + HOUR).isoformat()})
    begin = time.perf_counter()
    result = STAGE.run(config, deps)
    seconds = time.perf_counter() - begin
    assert not result.reused
    assert result.drift is not None
    return {"seconds": seconds, "named": sorted(result.drift.drifted), "rows": result.rows}


def evidently(folder: Path) -> dict[str, Any]:
    """Run Evidently on the same tables; return what it named and how long it took."""
    import warnings

    warnings.simplefilter("ignore")
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    from benchmarks.drift_rows import KINDS

    texts = [name for name, kind in KINDS.items() if kind in ("string", "bool")]
    kinds = DataDefinition(categorical_columns=texts, numerical_columns=[name for name in KINDS if name not in texts])
    begin = time.perf_counter()
    tables = [pd.read_parquet(folder / f"{name}.parquet") for name in ("window", "reference")]
    sides = [Dataset.from_pandas(table, data_definition=kinds) for table in tables]
    report = Report([DataDriftPreset()]).run(*sides)
    report.save_html(str(folder / "evidently.html"))
    seconds = time.perf_counter() - begin
    drifts = [each for each in report.dict()["metrics"] if "column" in each["config"]]
    named = [each["config"]["column"] for each in drifts if each["value"] >= each["config"]["threshold"]]
    return {"seconds": seconds, "named": sorted(named), "rows": len(tables[0])}


def child(what: str, folder: Path, count: int) -> dict[str, Any]:
    """Run one of the functions above in a process of its own; add its peak memory in MB."""
    command = [sys.executable, "-m", "benchmarks.drift", "--child", what, "--folder", str(folder), "--rows", str(count)]
    printed, peak_mb = run_child(command, what=what)
    return {**json.loads(printed.splitlines()[-1]), "mb": peak_mb}


def measure(count: int, pairs: int) -> int:
    """Measure `pairs` interleaved pairs and judge."""
    from benchmarks.drift_rows import SHIFTS

    with tempfile.TemporaryDirectory(prefix="aimass-drift-") as name:
        folder = Path(name)
        made = child("prepare", folder, count)
        runs = [(child("ours", folder, count), child("evidently", folder, count)) for _ in range(pairs)]
    expected = sorted(SHIFTS[shift][0] for shift in SHIFTED)
    mine, peers = zip(*runs, strict=True)
    print(f"{count:,} rows, {pairs} pairs; shifted: {', '.join(expected)}")
    print(f"ours named: {', '.join(mine[0]['named'])}; Evidently named: {', '.join(peers[0]['named'])}")
    same = all(each["named"] == expected for each in [*mine, *peers])
    medians = figure("seconds", [each["seconds"] for each in mine], "s", peer=[each["seconds"] for each in peers])
    speed = Figure("judge a window", medians.ours, "s", medians.peer, medians.spread, GOAL_SHARE, judged_by_ratio=True)
    memory = figure(
        "peak memory", [each["mb"] for each in mine], "MB", peer=[each["mb"] for each in peers], goal=GOAL_MB
    )
    wrong = Figure("other columns named than shifted", float(not same), "", goal=0)
    return conclude("drift", [speed, memory, wrong, Figure("the profile, at the release", made["seconds"], "s")])


def main() -> int:
    """Measure and judge, or do the part that a child process is for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--long", action="store_true", help="ten pairs instead of five")
    parser.add_argument("--pairs", type=int, default=5, help="interleaved pairs of runs")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of either side")
    parser.add_argument("--child", choices=("prepare", "ours", "evidently"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is None:
        return measure(options.rows, options.pairs * (2 if options.long else 1))
    done = {"prepare": lambda folder: prepare(folder, options.rows), "ours": ours, "evidently": evidently}
    print(json.dumps(done[options.child](options.folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
