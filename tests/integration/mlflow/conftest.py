"""One MLflow server for the folder's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.mlflow import mlflow_server


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        yield address
