"""Beside the official providers: their connection types stay theirs, ours are ours, and our hooks read both."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from aimass.hooks.connections import STANDARD_TYPES
from tests.packaging.wheel import find_uv

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PACKAGES = {
    "mysql": "apache-airflow-providers-mysql",
    "mongo": "apache-airflow-providers-mongo",
    "kafka": "apache-airflow-providers-apache-kafka",
    "webhdfs": "apache-airflow-providers-apache-hdfs",
    "aws": "apache-airflow-providers-amazon",
}
ASK = """\
import json
from airflow.providers_manager import ProvidersManager
manager = ProvidersManager()
manager.initialize_providers_hooks()
print(json.dumps({name: found.package_name for name, found in manager._hook_provider_dict.items()}))
"""


@pytest.fixture(scope="module")
def owners(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return which package each connection type belongs to, with the official providers installed.

    Their own wheels say that; the drivers that they need are left out.
    """
    folder = tmp_path_factory.mktemp("providers")
    install = [
        find_uv(),
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--python",
        sys.executable,
        "--target",
        str(folder / "site"),
    ]
    subprocess.run([*install, *PACKAGES.values()], check=True, capture_output=True, timeout=240)
    found = subprocess.run(
        [sys.executable, "-c", ASK], check=True, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(folder / "site"), "AIRFLOW_HOME": str(folder)},
    )  # fmt: skip
    answer: dict[str, str] = json.loads(found.stdout.splitlines()[-1])
    return answer


def test_their_types_are_theirs(owners: dict[str, str]) -> None:
    assert {name: owners[name] for name in STANDARD_TYPES} == PACKAGES


def test_our_types_are_ours(owners: dict[str, str]) -> None:
    ours = {name for name, package in owners.items() if package == "airflow-provider-aimass"}
    assert ours == {*STANDARD_TYPES.values(), "aimass_store", "aimass_mlflow", "aimass_serving"}
