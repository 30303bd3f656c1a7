"""The wheel, built once for all packaging tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.wheel import Environment, build_wheel, make_environment


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def core_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel as a pod has it: no Airflow."""
    return make_environment(tmp_path_factory.mktemp("core-env"), wheel, "core")


@pytest.fixture(scope="session")
def airflow_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel in an Airflow that a team already runs."""
    return make_environment(tmp_path_factory.mktemp("airflow-env"), wheel, "demo")


@pytest.fixture(scope="session")
def serve_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel as the inference server's image has it: neither Airflow nor what trains."""
    return make_environment(tmp_path_factory.mktemp("serve-env"), wheel, "serve")
