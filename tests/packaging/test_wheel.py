"""What the wheel holds, and that it works alone: with core's requirements, the extra `airflow`, and as a server."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.endpoints.http import HttpEndpoint, HttpSettings
from aimass.core.release.mlflow import MLflowRegistry, MLflowSettings
from aimass.core.testing.endpoints_contract import ROW, served_package
from tests.packaging.wheel import ROOT, Environment
from tests.services.mlflow import mlflow_server
from tests.services.server import free_port, running

# The first test that asks for an environment waits for its installation.
pytestmark = pytest.mark.timeout(1800)

PACKAGE = ROOT / "providers" / "aimass"
# Lint settings are for the checkout.
NOT_SHIPPED = {f"aimass/{room}/ruff.toml" for room in ("core", "serving", "ui")}

IMPORT_ALL = """
import importlib, pkgutil, sys, warnings
warnings.simplefilter("ignore")
import aimass
assert "site-packages" in aimass.__file__, aimass.__file__
prefixes = tuple(sys.argv[1:])
names = [m.name for m in pkgutil.walk_packages(aimass.__path__, "aimass.", onerror=lambda name: None)]
chosen = [n for n in names if n.startswith(prefixes) and not n.endswith("__main__")]
failed = {}
# What reads a kind of server needs that kind's extra.
optional = ("bson", "confluent_kafka", "connectorx", "fastavro", "hdfs_native", "kafka", "mysql", "obs", "obstore")
optional += ("pymongo", "requests")
rooms = tuple(f"aimass.core.{room}." for room in ("sources", "destinations", "object_storage"))
for name in chosen:
    try:
        importlib.import_module(name)
    except Exception as error:
        lacks = (getattr(error, "name", "") or "").partition(".")[0]
        is_backend = name.startswith(rooms)
        # The contract tests are for authors of backends, who have pytest.
        if not (lacks in optional and is_backend or lacks == "pytest" and name.startswith("aimass.core.testing.")):
            failed[name] = repr(error)
print(len(chosen), "modules imported")
sys.exit(f"cannot be imported: {failed}" if failed else 0)
"""


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    """`find:` forgets folders without `__init__.py`, and `package_data` forgets new file types; both silently."""
    there = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("aimass/")}
    here = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file()
        and not any(part == "__pycache__" or part.startswith(".") for part in path.relative_to(PACKAGE).parts)
    }
    assert there == here - NOT_SHIPPED


def test_the_wheel_ships_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"aimass"}


def test_core_imports_with_core_requirements_only(core_environment: Environment) -> None:
    assert "modules imported" in core_environment.run("-c", IMPORT_ALL, "aimass.core")
    has_airflow = "import importlib.util; print(importlib.util.find_spec('airflow'))"
    assert core_environment.run("-c", has_airflow).strip() == "None"


def test_the_door_opens_without_airflow(core_environment: Environment) -> None:
    assert "ingest" in core_environment.run("-m", "aimass.core", "--help")


def test_the_server_imports_in_its_own_small_environment(serve_environment: Environment) -> None:
    assert "modules imported" in serve_environment.run("-c", IMPORT_ALL, "aimass.serving")
    unwanted = "('airflow', 'sklearn', 'pandas', 'lightgbm')"
    code = f"from importlib.util import find_spec; print([name for name in {unwanted} if find_spec(name)])"
    assert serve_environment.run("-c", code).strip() == "[]"


def test_the_server_says_what_it_can_do(serve_environment: Environment) -> None:
    assert "--memory-budget-mb" in serve_environment.run("-m", "aimass.serving", "--help")


def test_the_server_serves_a_registered_model(serve_environment: Environment, tmp_path: Path) -> None:
    """What it imports only when it is at work is there, too: MLflow's client, fetched files, the prediction log."""
    with mlflow_server(tmp_path) as mlflow:
        registry = MLflowRegistry(
            MLflowSettings(), Deps.from_runtime(Runtime(store=str(tmp_path), tracking_uri=mlflow))
        )
        version = registry.register(served_package(tmp_path, "late", 0.0))
        registry.set_alias("late", "champion", version.version)
        url = f"http://127.0.0.1:{(port := free_port())}"
        options = {"port": port, "tracking-uri": mlflow, "store": tmp_path, "cache-dir": tmp_path / "cache"}
        command = [serve_environment.python, "-m", "aimass.serving", "--log-flush-s=1"]
        command += [f"--{name}={value}" for name, value in options.items()]
        server = HttpEndpoint(HttpSettings(url=url))
        with running(command, log=tmp_path / "server.log", is_ready=server.is_ready):
            answer = server.predict("late", [ROW])
        assert answer["version"] == version.version
    (segment,) = (tmp_path / "default" / "predictions" / "late").iterdir()
    assert (segment / "manifest.json").exists()


def test_everything_imports_with_the_airflow_extra(airflow_environment: Environment) -> None:
    assert "modules imported" in airflow_environment.run("-c", IMPORT_ALL, "aimass")


def test_airflow_lists_the_provider(airflow_environment: Environment) -> None:
    listed = json.loads(airflow_environment.run("-m", "airflow", "providers", "list", "--output", "json"))
    assert "airflow-provider-aimass" in {provider["package_name"] for provider in listed}


def test_requirements_agree_with_each_other(airflow_environment: Environment) -> None:
    """The lock is complete: every requirement of every installed package is met, the wheel's own included."""
    code = """
import sys
from importlib.metadata import distributions
from packaging.requirements import Requirement
versions = {d.metadata["Name"].lower().replace("_", "-").replace(".", "-"): d.version for d in distributions()}
wrong = []
for d in distributions():
    for text in d.requires or []:
        r = Requirement(text)
        if r.marker and not r.marker.evaluate({"extra": ""}):
            continue
        seen = versions.get(r.name.lower().replace("_", "-").replace(".", "-"))
        if seen is None or not r.specifier.contains(seen, prereleases=True):
            wrong.append(f"{d.metadata['Name']} needs {r}, found {seen}")
sys.exit("\\n".join(wrong) or 0)
"""
    airflow_environment.run("-c", code)
