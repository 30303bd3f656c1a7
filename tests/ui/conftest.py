"""Pages as a reader gets them: through Airflow's own app, on a database of its own.

How a page is tested::

    def test_the_page_shows_it(seeding, reader):
        dag_id = seeding.dag("aimass_flights")
        seeding.task(dag_id, seeding.run(dag_id), "split", result={"rows": {"train": 7}})
        answer = reader.get(f"/aimass/pipelines/{dag_id}")

A page that reads outputs takes `made`, whose stages really ran, and seeds them: ``made.seed(seeding)``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.crash.customers import create_tracking_database
from tests.ui.made import DAG_ID, MadeRun, make_run
from tests.ui.people import USER, VIEWER
from tests.ui.seeding import Seeding

SETTINGS = {
    "AIRFLOW__CORE__AUTH_MANAGER": "tests.ui.people.TeamAuthManager",
    "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of these tests alone, which is long enough to sign with by SHA-512",
}
Client = Callable[[SimpleAuthManagerUser], TestClient]
HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of this folder on one worker: Airflow's app and the run that was made cost half a minute."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("ui"))


@functools.cache
def _airflow() -> FastAPI:
    """Return Airflow's app on a migrated database; made once."""
    from airflow.api_fastapi.app import create_app
    from airflow.utils.db import initdb

    initdb()
    return create_app(apps="core")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeRun:
    """A run of a small pipeline whose stages really ran, in a store of its own, with a released model in MLflow."""
    folder: Path = tmp_path_factory.mktemp("made")
    create_tracking_database(folder / "mlflow.db")
    return make_run(folder, f"sqlite:///{folder / 'mlflow.db'}")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FastAPI:
    """Airflow's app with our pages in it; the store is an empty folder unless the test takes `stored`."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", (tmp_path / "store").as_uri())
    monkeypatch.setenv("AIRFLOW__AIMASS__TRACKING_URI", "")
    return _airflow()


@pytest.fixture
def seeding(app: FastAPI) -> Iterator[Seeding]:
    """Writes to Airflow's database, which is empty at the start of a test."""
    from airflow.utils.session import create_session

    with create_session() as session:
        seeding = Seeding(session)
        seeding.clear()
        yield seeding
        seeding.clear()


@pytest.fixture
def stored(made: MadeRun, seeding: Seeding, monkeypatch: pytest.MonkeyPatch) -> MadeRun:
    """`made`, in Airflow's database as the run ``manual__made`` of its DAG, in the store that the pages read."""
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", made.store)
    monkeypatch.setenv("AIRFLOW__AIMASS__TRACKING_URI", made.tracking_uri)
    seeding.dag(DAG_ID, description="Who leaves?")
    made.seed(seeding)
    return made


@pytest.fixture
def client(app: FastAPI) -> Client:
    """Makes a client that is logged in as the given user."""

    def logged_in(user: SimpleAuthManagerUser) -> TestClient:
        from airflow.api_fastapi.app import get_auth_manager

        manager: Any = get_auth_manager()
        headers = {"Authorization": f"Bearer {manager.generate_jwt(user)}"}
        return TestClient(app, headers=headers, follow_redirects=False)

    return logged_in


@pytest.fixture
def reader(client: Client) -> TestClient:
    """A client of somebody who may read, and nothing else."""
    return client(VIEWER)


@pytest.fixture
def user(client: Client) -> TestClient:
    """A client of somebody who may read, trigger and answer."""
    return client(USER)


@pytest.fixture
def nobody(app: FastAPI) -> TestClient:
    """A client that is not logged in."""
    return TestClient(app, follow_redirects=False)
