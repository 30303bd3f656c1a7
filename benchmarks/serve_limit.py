"""What our server adds to the least that any could do: requests of one row, c=1 and c=8, one worker.

The limit is a handler in the same HTTP server that runs the same session on a prepared row and returns constant
bytes; an echo, which runs nothing, is reported beside it. At c=1 the median latency is compared with the session's
in a Python loop over the same rows; one row over and over, which the processor foresees, is reported beside it. The
server under test does everything that it does in use: it parses JSON, validates, encodes texts and nulls, batches,
counts, and writes the prediction log.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from aimass.serving.loaded import OUTPUTS
from benchmarks.figures import Figure, conclude, figure
from benchmarks.serving.bare import prepared
from benchmarks.serving.load import Load, load, write_requests
from benchmarks.serving.model import NAME, Released, default_folder, released
from benchmarks.serving.pairs import cpu, errors, paired
from benchmarks.serving.servers import Server, free_port, ours, running

GOAL_SHARE = 0.75
GOAL_ADDED_MS = 0.25
CONNECTIONS = (1, 8)
ROWS = 200


@contextlib.contextmanager
def bare(model: Released, folder: Path, kind: str) -> Iterator[Server]:
    """Run the bare handler."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.serving.bare", str(port), str(model.folder), kind]
    with running(command, health=f"http://127.0.0.1:{port}/", log=folder / f"{kind}.log") as pid:
        yield Server(port, pid)


def session_p50_ms(model: Released, n_rows: int, seconds: float) -> float:
    """Return the median time of the session on prepared rows, one after the other, in this process."""
    session, prepared_rows = prepared(model, n_rows)
    took: list[float] = []
    end = time.perf_counter() + seconds
    for feeds in itertools.cycle(prepared_rows):
        begin = time.perf_counter()
        if begin >= end:
            break
        session.run(OUTPUTS, feeds)
        took.append(time.perf_counter() - begin)
    return statistics.median(took) * 1e3


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve_limit", description=__doc__)
    parser.add_argument("--long", action="store_true", help="15 s a run instead of 4")
    seconds = 15.0 if parser.parse_args().long else 4.0
    model = released(default_folder())
    runs: dict[tuple[str, int], list[Load]] = {}
    alone_ms: dict[int, list[float]] = {1: [], ROWS: []}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aimass-limit-")))
        bodies = [json.dumps({"rows": [row]}).encode() for row in model.rows(ROWS)]
        requests = write_requests(folder / "requests.json", f"/predict/{NAME}", bodies)
        servers = {"ours": stack.enter_context(ours(model, folder))}
        servers |= {kind: stack.enter_context(bare(model, folder, kind)) for kind in ("session", "echo")}
        for _ in range(5):
            for n_rows, times in alone_ms.items():
                times.append(session_p50_ms(model, n_rows, 1.0))
            for connections in CONNECTIONS:
                for kind, server in servers.items():
                    seen = load(server, requests, connections=connections, seconds=seconds, expect='"probability"')
                    runs.setdefault((kind, connections), []).append(seen)
    return conclude("serve_limit", _figures(runs, alone_ms))


def _figures(runs: dict[tuple[str, int], list[Load]], alone_ms: dict[int, list[float]]) -> list[Figure]:
    figures = []
    for connections in CONNECTIONS:
        mine = runs["ours", connections]
        figures += paired(f"bare handler c={connections}", mine, runs["session", connections], GOAL_SHARE)
        figures += paired(f"echo c={connections}", mine, runs["echo", connections])
        figures.append(cpu(f"bare handler c={connections}", mine, runs["session", connections]))
    mine_ms = [seen.p50_ms for seen in runs["ours", 1]]
    added = {
        n_rows: [one - alone for one, alone in zip(mine_ms, times, strict=True)] for n_rows, times in alone_ms.items()
    }
    figures.append(figure("p50 c=1, and of the session alone", mine_ms, "ms", peer=alone_ms[ROWS]))
    figures.append(figure("p50 c=1 added to one row over and over", added[1], "ms"))
    figures.append(figure("p50 c=1 added", added[ROWS], "ms", goal=GOAL_ADDED_MS))
    return [*figures, errors(*runs.values())]


if __name__ == "__main__":
    sys.exit(main())
