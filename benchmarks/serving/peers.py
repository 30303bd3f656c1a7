"""The servers that ours is compared with: each in an environment of its own, with its default configuration.

All run the same ONNX graph with one thread. They are sent prepared columns (what ours makes of rows is spared them),
as JSON, in the form that each documents.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aimass.core.features.row_encoder import RowEncoder
from aimass.serving.loaded import read_columns
from benchmarks.serving.load import write_requests
from benchmarks.serving.model import NAME, Released, default_folder
from benchmarks.serving.servers import Server, free_port, running
from tests.packaging.wheel import find_uv

SERVICES = Path(__file__).parent / "services"
DATATYPES = {"O": "BYTES", "f": "FP64", "i": "INT64", "b": "BOOL"}


@dataclass(frozen=True)
class Peer:
    """One peer.

    Attributes
    ----------
    name : str
        What people call it.
    packages : tuple of str
        What its environment holds.
    health, path : str
        Where it says that it is ready, and where it is asked.
    expect : str
        What stands in every good answer.
    """

    name: str
    packages: tuple[str, ...]
    health: str
    path: str
    expect: str


# The minimal ONNX Runtime is ours; of the rest, the newest version that its neighbours allow.
RUNTIME = f"onnxruntime=={version('onnxruntime')}"
MLFLOW = Peer(
    "mlflow models serve",
    (f"mlflow=={version('mlflow-skinny')}", "onnx", "pandas<3", RUNTIME),
    "/health",
    "/invocations",
    '"predictions"',
)
MLFLOW_LEAN = replace(MLFLOW, name="mlflow models serve, inputs")
MLSERVER = Peer(
    "MLServer",
    ("mlserver==1.7.1", "uvloop<0.22", RUNTIME),  # its workers do not start with a newer uvloop
    f"/v2/models/{NAME}/ready",
    f"/v2/models/{NAME}/infer",
    '"probability"',
)
BENTOML = Peer("BentoML", ("bentoml==1.4.40", "numpy", RUNTIME), "/readyz", "/predict", '"probability"')


@contextlib.contextmanager
def serving(peer: Peer, model: Released, folder: Path) -> Iterator[Server]:
    """Run the peer until the block ends."""
    home = environment(peer)
    port = free_port()
    command = [str(home / "bin" / part) if index == 0 else part for index, part in enumerate(_command(peer, port))]
    variables = {
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(SERVICES),
        "MLFLOW_TRACKING_URI": model.tracking_uri,
        "BENCH_ONNX": str(model.onnx_file),
        "DO_NOT_TRACK": "1",
        "BENTOML_DO_NOT_TRACK": "True",
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(free_port()),
        "MLSERVER_METRICS_PORT": str(free_port()),
    }
    settings = {"name": NAME, "implementation": "mlserver_onnx.OnnxModel"}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    log = folder / f"{home.name}.log"
    with running(
        command, health=f"http://127.0.0.1:{port}{peer.health}", log=log, environment=variables, folder=folder
    ) as pid:
        yield Server(port, pid)


def _command(peer: Peer, port: int) -> list[str]:
    if peer in (MLFLOW, MLFLOW_LEAN):
        options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
        return ["mlflow", "models", "serve", "--model-uri", f"models:/{NAME}@champion", *options]
    if peer is MLSERVER:
        return ["mlserver", "start", "."]
    return ["bentoml", "serve", "bentoml_onnx:Served", "--host", "127.0.0.1", "--port", str(port)]


def environment(peer: Peer) -> Path:
    """Return the folder of the peer's environment; it is made where it is not there yet."""
    home = default_folder() / "peers" / peer.packages[0].replace("==", "-")
    if not (home / "made").exists():
        uv = find_uv()
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", "3.11", str(home)], check=True)
        command = [uv, "pip", "install", "--quiet", "--python", str(home / "bin" / "python"), *peer.packages]
        subprocess.run(command, check=True)
        (home / "made").touch()
    return home


def requests_for(peer: Peer, model: Released, file: Path, *, rows: int = 1, requests: int = 200) -> Path:
    """Write requests of `rows` rows each in the peer's form."""
    encoder = RowEncoder(read_columns(model.graph_file))
    everything = model.rows(rows * requests)
    bodies = []
    for start in range(0, rows * requests, rows):
        feeds = encoder.feeds(encoder.encode(everything[start : start + rows]))
        bodies.append(json.dumps(_body(peer, feeds)).encode())
    return write_requests(file, peer.path, bodies)


def _body(peer: Peer, feeds: Mapping[str, Any]) -> dict[str, Any]:
    # JSON has no NaN; NumPy makes it of null.
    columns = {name: [None if cell != cell else cell for cell in array.tolist()] for name, array in feeds.items()}
    if peer is MLFLOW:
        rows = [list(row) for row in zip(*columns.values(), strict=True)]
        return {"dataframe_split": {"columns": list(columns), "data": rows}}
    if peer is MLFLOW_LEAN:
        return {"inputs": columns}
    if peer is BENTOML:
        return {"columns": columns}
    tensors = [
        {"name": name, "shape": [len(array)], "datatype": DATATYPES[array.dtype.kind], "data": columns[name]}
        for name, array in feeds.items()
    ]
    return {"inputs": tensors}
