"""Requests of 1,000 rows: ours in bytes (the protocol's binary tensors) against ``mlflow models serve`` in JSON.

MLflow's server has no binary form. Both have one worker, and every answer is read whole.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from aimass_client import calls
from benchmarks.figures import conclude
from benchmarks.serving.load import load, write_requests
from benchmarks.serving.model import NAME, Released, default_folder, released
from benchmarks.serving.pairs import errors, latency, paired
from benchmarks.serving.peers import MLFLOW, requests_for, serving
from benchmarks.serving.servers import ours

GOAL = 8
ROWS = 1000
PAIRS = 5
REQUESTS = 10


def binary_requests(model: Released, file: Path) -> Path:
    """Write requests of 1,000 rows as binary tensors, as the Python client sends them."""
    everything = model.rows(ROWS * REQUESTS)
    made = []
    for start in range(0, len(everything), ROWS):
        rows = everything[start : start + ROWS]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        made.append(calls.infer(NAME, columns, as_bytes=True))
    return write_requests(file, made[0].path, [call.body or b"" for call in made], headers=[c.headers for c in made])


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve_batch", description=__doc__)
    parser.add_argument("--long", action="store_true", help="15 s a run instead of 4")
    seconds = 15.0 if parser.parse_args().long else 4.0
    model = released(default_folder())
    with tempfile.TemporaryDirectory(prefix="aimass-batch-") as name:
        folder = Path(name)
        our_requests = binary_requests(model, folder / "ours.json")
        peer_requests = requests_for(MLFLOW, model, folder / "peer.json", rows=ROWS, requests=REQUESTS)
        mine, theirs = [], []
        with ours(model, folder) as our_port, serving(MLFLOW, model, folder) as peer_port:
            for _ in range(PAIRS):
                mine.append(load(our_port, our_requests, connections=1, seconds=seconds, expect="probability"))
                theirs.append(load(peer_port, peer_requests, connections=1, seconds=seconds, expect=MLFLOW.expect))
    figures = [*paired("1,000 rows", mine, theirs, GOAL), *latency("1,000 rows", mine, theirs), errors(mine, theirs)]
    return conclude("serve_batch", figures)


if __name__ == "__main__":
    sys.exit(main())
