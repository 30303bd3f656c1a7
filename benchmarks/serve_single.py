"""Requests of one row against MLflow, MLServer and BentoML: closed loops of 1 and 8 connections, and an open loop.

All have one worker and one thread for the session. Ours gets rows as JSON objects, with texts and nulls, and does
everything that it does in use; the peers get columns prepared for the graph. MLflow is asked in the form that its
documentation shows (``dataframe_split``), and in its leanest (``inputs``), which is reported only. In the open loop
requests come at half of what the peer answers at c=8, whether they are answered or not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figure, conclude
from benchmarks.serving.load import Load, load, write_requests
from benchmarks.serving.model import NAME, Released, default_folder, released
from benchmarks.serving.pairs import cpu, errors, latency, paired
from benchmarks.serving.peers import BENTOML, MLFLOW, MLFLOW_LEAN, MLSERVER, Peer, requests_for, serving
from benchmarks.serving.servers import ours

GOALS: dict[Peer, float | None] = {MLFLOW: 15, MLFLOW_LEAN: None, MLSERVER: 3, BENTOML: 3}
PAIRS = 5
EXPECT = '"probability"'


def against(peer: Peer, goal: float | None, model: Released, folder: Path, seconds: float) -> list[Figure]:
    """Return the figures of one peer."""
    bodies = [json.dumps({"rows": [row]}).encode() for row in model.rows(200)]
    our_requests = write_requests(folder / "ours.json", f"/predict/{NAME}", bodies)
    peer_requests = requests_for(peer, model, folder / "peer.json")
    figures: list[Figure] = []
    everything: list[list[Load]] = []
    with ours(model, folder) as our_server, serving(peer, model, folder) as peer_server:

        def pair(connections: int, rate: float | None = None) -> tuple[Load, Load]:
            how = {"connections": connections, "seconds": seconds, "rate": rate}
            mine = load(our_server, our_requests, expect=EXPECT, **how)
            return mine, load(peer_server, peer_requests, expect=peer.expect, **how)

        for connections in (1, 8):
            mine, theirs = map(list, zip(*(pair(connections) for _ in range(PAIRS)), strict=True))
            figures += paired(f"{peer.name} c={connections}", mine, theirs, goal)
            figures.append(cpu(f"{peer.name} c={connections}", mine, theirs))
            everything += [mine, theirs]
        rate = min(seen.per_s for seen in theirs) / 2
        mine, theirs = map(list, zip(*(pair(32, rate) for _ in range(2)), strict=True))
        figures += latency(f"{peer.name} open loop, {rate:.0f}/s", mine, theirs)
        everything += [mine, theirs]
    return [*figures, errors(*everything)]


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve_single", description=__doc__)
    parser.add_argument("--long", action="store_true", help="10 s a run instead of 3")
    seconds = 10.0 if parser.parse_args().long else 3.0
    model = released(default_folder())
    figures: list[Figure] = []
    for peer, goal in GOALS.items():
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aimass-single-")))
            figures += against(peer, goal, model, folder, seconds)
    return conclude("serve_single", figures)


if __name__ == "__main__":
    sys.exit(main())
