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
from aimass.core.release.base import Package, Version
from aimass.core.release.mlflow import MLflowRegistry, MLflowSettings
from aimass.core.storage import file_digest
from benchmarks.figures import Figure, conclude
from benchmarks.serving.load import load, write_requests
from benchmarks.serving.model import NAME, Released, default_folder, released
from benchmarks.serving.servers import free_port, running

SWITCHES = 20
REQUESTS = 50_000
LOAD_SHARE = 0.8
CONNECTIONS = 16
WORKERS = 2
ROWS = 4
PAUSE_S = 0.6
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
        """Point the champion at `version`; return the seconds until the server answers by it."""
        started = time.perf_counter()
        self._registry.set_alias(NAME, "champion", version)
        self.ask("/aimass/sync")
        while self.ask(f"/predict/{NAME}", body)["version"] != version:
            time.sleep(0.005)
        return time.perf_counter() - started


def second_version(model: Released, registry: MLflowRegistry, folder: Path) -> Version:
    """Register the same graph with probabilities a tenth smaller, as another version."""
    graph = onnx.load_model(str(model.onnx_file))
    for node in graph.graph.node:
        for at, name in enumerate(node.output):
            if name == "probability":
                node.output[at] = "probability_before"
    graph.graph.node.append(helper.make_node("Mul", ["probability_before", "tenth_less"], ["probability"]))
    graph.graph.initializer.append(numpy_helper.from_array(np.array([0.9], dtype=np.float32), "tenth_less"))
    file = folder / "model.onnx"
    onnx.save_model(graph, str(file))
    # The registry keeps an example of the inputs; that of the first version will do.
    from aimass.serving.loaded import LoadedModel

    loaded = LoadedModel.load(file, model.graph_file, name=NAME, version="2", digest="")
    example = loaded.encoder.feeds(loaded.empty(2))
    return registry.register(
        Package(
            name=NAME, digest=file_digest(file), onnx_file=file, example=example, files={"graph.json": model.graph_file}
        )
    )


def measure(plan: Path, port: int, rate: float, seconds: float) -> subprocess.Popen[str]:
    """Start the load."""
    command = [sys.executable, "-m", "benchmarks.serving.switch_load", str(port), str(plan)]
    command += ["--connections", str(CONNECTIONS), "--rate", f"{rate:.1f}", "--seconds", f"{seconds:.1f}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what the load saw."""
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
        second = second_version(model, registry, folder)
        registry.set_alias(NAME, "previous", second.version)
        port = free_port()
        command = [sys.executable, "-m", "aimass.serving", "--port", str(port), "--workers", str(WORKERS)]
        command += ["--tracking-uri", uri, "--cache-dir", str(folder / "cache"), "--store", (folder / "log").as_uri()]
        health = f"http://127.0.0.1:{port}/v2/health/ready"
        with running(command, health=health, log=folder / "server.log"):
            return judge(model, Server(port, registry), folder, second.version, requests_wanted)


def judge(model: Released, server: Server, folder: Path, second: str, requests_wanted: int) -> int:
    """Put the load on the server, switch, and compare with the same load without switches."""
    bodies = [{"rows": model.rows(ROWS, seed=seed)} for seed in range(32)]
    encoded = [json.dumps(body).encode() for body in bodies]
    file = write_requests(folder / "requests.json", f"/predict/{NAME}", encoded)
    expected = {
        version: [
            [row["probability"] for row in server.ask(f"/predict/{NAME}?version={version}", body)["predictions"]]
            for body in bodies
        ]
        for version in ("1", second)
    }
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"requests": json.loads(file.read_text()), "expected": expected}))
    most = load(server.port, file, connections=CONNECTIONS, seconds=4.0, expect=NAME).per_s
    rate = LOAD_SHARE * most
    seconds = max(requests_wanted / rate, (SWITCHES + 1) * 2 * PAUSE_S)
    steady = result(measure(plan, server.port, rate, min(seconds, 15.0)))
    under_way = measure(plan, server.port, rate, seconds)
    end = time.perf_counter() + seconds
    took = []
    for switch in range(SWITCHES + 1):
        time.sleep(max(PAUSE_S, (end - time.perf_counter()) / (SWITCHES + 2 - switch)))
        took.append(server.move(second if switch % 2 == 0 else "1", bodies[0]))
    seen = result(under_way)
    print(f"{most:.0f} requests/s at most, {rate:.0f} put; {seen['answers']} answers, {seen['changes']} changes seen")
    print(f"steady {steady}\nswitching {seen}\nseconds by switch: {', '.join(f'{each:.2f}' for each in took)}")
    return conclude(
        "switch",
        [
            Figure("answers checked (goal: that many or more)", -float(seen["answers"]), "", goal=-float(REQUESTS)),
            Figure("failed", seen["failed"] + steady["failed"], "", goal=0),
            Figure("mixed", seen["mixed"] + steady["mixed"], "", goal=0),
            Figure("rollback: decision to old version", took[-1], "s", goal=GOAL_ROLLBACK_S),
            Figure("slowest switch", max(took), "s"),
            Figure("p99 while switching", seen["p99_ms"], "ms", steady["p99_ms"], goal=GOAL_P99, judged_by_ratio=True),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
