"""What importing really does, each time in a fresh process."""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.source_tree import PACKAGE, modules

HEAVY = ["evidently", "great_expectations", "lightgbm", "matplotlib", "mlflow", "onnx", "onnxmltools", "onnxruntime"]
HEAVY += ["optuna", "pandas", "pyspark", "scipy", "skl2onnx", "sklearn", "skops"]
# Layers that every Airflow process imports do without numbers altogether.
NUMBERS = ["numpy", "polars", "pyarrow"]

BLOCK_AIRFLOW = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "airflow":
            raise ImportError("airflow is not here")
sys.meta_path.insert(0, Block())
"""


def run_python(code: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stderr[-3000:]


def names(*folders: str) -> list[str]:
    prefixes = [f"providers/aimass/{folder}" for folder in folders]
    return [module.name for module in modules(*prefixes) if module.path.stem != "__main__"]


def import_lines(modules_to_import: list[str]) -> str:
    return "\n".join(f"import {name}" for name in modules_to_import)


def test_core_imports_without_airflow() -> None:
    run_python(BLOCK_AIRFLOW + import_lines(names("core")))


def test_stages_load_no_heavy_library() -> None:
    """A stage pays for the backends that its configuration names, and for no other.

    Two libraries are the stages' own: onnx (a transform has an ONNX face) and, in optimize, Optuna (the study).
    """
    light = [name for name in names("core/stages") if ".optimize" not in name]
    check = f"loaded = set({HEAVY!r}) & set(sys.modules) - {{'onnx'}}; assert not loaded, loaded"
    run_python(BLOCK_AIRFLOW + import_lines(light) + "\nimport aimass.core.__main__\n" + check)


def test_airflow_layers_load_no_heavy_library() -> None:
    folders = ("hooks", "operators", "sensors", "triggers", "links", "notifications", "listeners", "pipelines")
    layers = [name for folder in folders if (PACKAGE / folder).is_dir() for name in names(folder)]
    code = "import sys, airflow.sdk\nbefore = set(sys.modules)\n" + import_lines(layers)
    run_python(code + f"\nloaded = set({HEAVY + NUMBERS!r}) & (set(sys.modules) - before); assert not loaded, loaded")


INGEST = """
import json, pathlib, sys, tempfile
import pyarrow as pa, pyarrow.parquet as pq
from aimass.core.deps import Deps, Runtime
from aimass.core.stages import ingest
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "a.csv").write_text("n,s\\n1,a\\n2,\\n")
(folder / "b.csv").write_text("n,s\\n3,c\\n")
column = pa.nulls(3, pa.large_string())
pq.write_table(pa.table({"n": pa.nulls(3, pa.int64()), "s": column}), folder / "a.parquet")
deps = Deps.from_runtime(Runtime(store=str(folder / "store")))
for pattern in ("*.csv", "a.parquet"):
    ingest.run(ingest.IngestConfig(name="rows", source={"type": "files", "uri": f"{folder}/{pattern}"}), deps)
"""


def test_ingest_of_files_does_not_import_pandas() -> None:
    """Arrow imports it by itself where values of Python become Arrow's: 0.3 s and 45 MB of each ingest."""
    run_python(INGEST + "assert 'pandas' not in sys.modules")
