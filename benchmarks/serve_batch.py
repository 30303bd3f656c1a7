"""Requests of 1,000 rows: ours in bytes (the protocol's binary tensors) against ``mlflow models serve`` in JSON.

MLflow's server has no binary form. Both have one worker, and every answer is read whole.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from aimass.core.features.row_encoder import RowEncoder
from aimass.core.reserved import NULL_STRING
from aimass.serving.infer_json import LENGTH_HEADER
from aimass.serving.loaded import read_columns
from aimass.serving.tensors import bytes_of, datatype_of
from benchmarks.figures import conclude
from benchmarks.serving.load import load, write_requests
from benchmarks.serving.model import NAME, Released, default_folder, released
from benchmarks.serving.pairs import cpu, errors, latency, paired
from benchmarks.serving.peers import MLFLOW, requests_for, serving
from benchmarks.serving.servers import ours

GOAL = 8
ROWS = 1000
PAIRS = 5
REQUESTS = 10


def binary_requests(model: Released, file: Path) -> Path:
    """Write requests of 1,000 rows as binary tensors: missing numbers are NaN or masked, missing texts empty."""
    encoder = RowEncoder(read_columns(model.graph_file))
    everything = model.rows(ROWS * REQUESTS)
    bodies, headers = [], []
    for start in range(0, len(everything), ROWS):
        inputs, parts = [], []
        for name, array in encoder.feeds(encoder.encode(everything[start : start + ROWS])).items():
            values = np.where(array == NULL_STRING, "", array) if array.dtype == object else array
            parts.append(bytes_of(values))
            size = {"binary_data_size": len(parts[-1])}
            inputs.append({"name": name, "datatype": datatype_of(values), "shape": [ROWS], "parameters": size})
        head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
        bodies.append(b"".join([head, *parts]))
        headers.append({"Content-Type": "application/octet-stream", LENGTH_HEADER: str(len(head))})
    return write_requests(file, f"/v2/models/{NAME}/infer", bodies, headers=headers)


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
        with ours(model, folder) as our_server, serving(MLFLOW, model, folder) as peer_server:
            for _ in range(PAIRS):
                mine.append(load(our_server, our_requests, connections=1, seconds=seconds, expect="probability"))
                theirs.append(load(peer_server, peer_requests, connections=1, seconds=seconds, expect=MLFLOW.expect))
    figures = [*paired("1,000 rows", mine, theirs, GOAL), *latency("1,000 rows", mine, theirs)]
    return conclude("serve_batch", [*figures, cpu("1,000 rows", mine, theirs), errors(mine, theirs)])


if __name__ == "__main__":
    sys.exit(main())
