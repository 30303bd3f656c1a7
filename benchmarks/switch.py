"""Twenty switches and a rollback while the server is at 80 % load: nothing fails, nothing is mixed, nothing is slow.

Every answer is checked: its header, its body and the probability of each of its rows must agree on one version; and
once one client has seen the new version, no request that is sent then may get the old one, whichever worker answers.
The alias is moved in MLflow's registry, and the server told to look, as the rollback DAG does.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from aimass.core.deps import Deps, Runtime
from aimass.core.release.base import Package
from aimass.core.release.mlflow import MLflowRegistry, MLflowSettings
from aimass.core.storage import file_digest
from aimass.serving.loaded import LoadedModel
from benchmarks.figures import Figure, conclude
from benchmarks.serving.load import write_requests
from benchmarks.serving.model import NAME, Released, default_folder, released
from benchmarks.serving.servers import free_port, running

SWITCHES = 20
REQUESTS = 50_000
LOAD_SHARE = 0.8
CONNECTIONS = 16
WORKERS = 2
ROWS = 4
SHARES = (0.9, 0.8)
"""The other versions' probabilities, as shares of the first one's. With three in turn, and the one before kept for the
way back, each switch loads a version, and the rollback loads none."""
PAUSE_S = 0.6
WARM_S = 2.0
MOST_S = 10.0
GOAL_ROLLBACK_S = 5.0
GOAL_P99 = 2.0


class Server:
    """The server under test, and the registry that it watches.

    Parameters
    ----------
    port : int
        Where it listens.
    registry : MLflowRegistry
        The registry.
    """

    def __init__(self, port: int, registry: MLflowRegistry) -> None:
        self.port = port
        self.champion = "1"
        self._registry = registry

    def ask(self, path: str, body: Any = None) -> Any:
        """Return the answer to a POST."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=json.dumps(body or {}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def move(self, version: str, body: dict[str, Any]) -> float:
        """Point the champion at `version`, as a release does; return the seconds until the server answers by it."""
        started = time.perf_counter()
        self._registry.set_alias(NAME, "previous", self.champion)
        self._registry.set_alias(NAME, "champion", version)
        self.champion = version
        self.ask("/aimass/sync")
        while self.ask(f"/predict/{NAME}", body)["version"] != version:
            time.sleep(0.005)
        return time.perf_counter() - started


def another_version(model: Released, registry: MLflowRegistry, folder: Path, share: float) -> str:
    """Register the same graph with its probabilities times `share`; return the version's number."""
    graph = onnx.load_model(str(model.onnx_file))
    for node in graph.graph.node:
        for at, name in enumerate(node.output):
            if name == "probability":
                node.output[at] = "probability_before"
    graph.graph.node.append(helper.make_node("Mul", ["probability_before", "share"], ["probability"]))
    graph.graph.initializer.append(numpy_helper.from_array(np.array([share], dtype=np.float32), "share"))
    file = folder / f"{share}.onnx"
    onnx.save_model(graph, str(file))
    loaded = LoadedModel.load(file, model.graph_file, name=NAME, version="", digest="")
    example = loaded.encoder.feeds(loaded.empty(2))
    files = {"graph.json": model.graph_file}
    return registry.register(Package(NAME, file_digest(file), file, example, files)).version


def measure(plan: Path, port: int, rate: float | None, seconds: float) -> subprocess.Popen[str]:
    """Start the load; the most that is answered, when no rate is given."""
    command = [sys.executable, "-m", "benchmarks.serving.switch_load", str(port), str(plan)]
    command += ["--connections", str(CONNECTIONS), "--seconds", f"{seconds:.1f}"]
    command += ["--rate", f"{rate:.1f}"] if rate is not None else []
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Let the load end, once its time is up; return what it saw."""
    output, _ = process.communicate()
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.switch", description=__doc__)
    parser.add_argument("--long", action="store_true", help="four times as many requests")
    requests_wanted = REQUESTS * (4 if parser.parse_args().long else 1)
    model = released(default_folder())
    with tempfile.TemporaryDirectory(prefix="aimass-switch-") as name:
        folder = Path(name)
        shutil.copyfile(model.folder / "mlflow.db", folder / "mlflow.db")
        uri = f"sqlite:///{folder}/mlflow.db"
        deps = Deps.from_runtime(Runtime(store=(folder / "store").as_uri(), tracking_uri=uri, project="bench"))
        registry = MLflowRegistry(MLflowSettings(), deps)
        registry.set_alias(NAME, "champion", "1")
        versions = ["1", *(another_version(model, registry, folder, share) for share in SHARES)]
        port = free_port()
        command = [sys.executable, "-m", "aimass.serving", "--port", str(port), "--workers", str(WORKERS)]
        command += ["--tracking-uri", uri, "--cache-dir", str(folder / "cache"), "--store", (folder / "log").as_uri()]
        health = f"http://127.0.0.1:{port}/v2/health/ready"
        with running(command, health=health, log=folder / "server.log"):
            return judge(model, Server(port, registry), folder, versions, requests_wanted)


def judge(model: Released, server: Server, folder: Path, versions: list[str], requests_wanted: int) -> int:
    """Put the load on the server, switch, and compare with the same load without switches."""
    bodies = [{"rows": model.rows(ROWS, seed=seed)} for seed in range(32)]
    encoded = [json.dumps(body).encode() for body in bodies]
    file = write_requests(folder / "requests.json", f"/predict/{NAME}", encoded)
    expected = {
        version: [
            [row["probability"] for row in server.ask(f"/predict/{NAME}?version={version}", body)["predictions"]]
            for body in bodies
        ]
        for version in versions
    }
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"requests": json.loads(file.read_text()), "expected": expected}))
    # By the client that checks every answer: it has its share of the machine under the load, too.
    result(measure(plan, server.port, None, WARM_S))
    most = result(measure(plan, server.port, None, MOST_S))["answers"] / MOST_S
    rate = LOAD_SHARE * most
    seconds = max(requests_wanted / rate, (SWITCHES + 1) * 2 * PAUSE_S)
    steady = result(measure(plan, server.port, rate, min(seconds, 15.0)))
    under_way = measure(plan, server.port, rate, seconds)
    end = time.perf_counter() + seconds
    took = []
    going = [versions[(switch + 1) % len(versions)] for switch in range(SWITCHES)]
    for switch, version in enumerate([*going, going[-2]]):
        time.sleep(max(PAUSE_S, (end - time.perf_counter()) / (SWITCHES + 2 - switch)))
        took.append(server.move(version, bodies[0]))
    seen = result(under_way)
    print(f"{most:.0f} requests/s at most, {rate:.0f} put; {seen['answers']} answers, {seen['changes']} changes seen")
    print(f"steady {steady}\nswitching {seen}\nseconds by switch: {', '.join(f'{each:.2f}' for each in took)}")
    return conclude(
        "switch",
        [
            Figure("answers checked", seen["answers"], "", goal=REQUESTS, more_is_better=True),
            Figure("failed", seen["failed"] + steady["failed"], "", goal=0),
            Figure("mixed", seen["mixed"] + steady["mixed"], "", goal=0),
            Figure("rollback: decision to old version", took[-1], "s", goal=GOAL_ROLLBACK_S),
            Figure("slowest switch", max(took), "s"),
            Figure("p99 while switching", seen["p99_ms"], "ms", steady["p99_ms"], goal=GOAL_P99, judged_by_ratio=True),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
