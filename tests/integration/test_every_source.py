"""Through Airflow's connections, of our types and of the official ones, to every real server."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from aimass.cli.sources import check, sample
from aimass.core.deps import Deps
from aimass.core.stages import ingest
from aimass.core.stages.ingest_config import IngestConfig
from aimass.hooks.connections import connection_documents, connections_of_stage
from aimass.hooks.runtime import build_runtime
from aimass.triggers.new_data import NewData
from tests.services.places import PLACES, Place

ROWS = [{"id": number, "city": ("北京", "Köln")[number % 2], "price": number / 4} for number in range(1, 11)]
MORE = [{"id": number, "city": "Lima", "price": 0.5} for number in range(11, 14)]
pytestmark = [
    # kafka-python leaves sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=pytest.mark.integration(kind), id=kind) for kind in PLACES]
)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with PLACES[request.param](tmp_path_factory.mktemp(request.param), f"t{uuid4().hex[:8]}") as found:
        found.add(ROWS)
        yield found


@pytest.fixture
def connect(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return what gives Airflow a connection, and a store of this test alone; it returns the connection's id."""
    monkeypatch.setenv("AIRFLOW__AIMASS__STORE", str(tmp_path / "store"))

    def connect(conn_id: str, fields: dict[str, Any]) -> str:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))
        return conn_id

    return connect


@pytest.mark.parametrize("kind_of_type", ["ours", "standard"])
def test_the_command_line_reads_through_a_connection(
    place: Place, connect: Callable[..., str], capsys: pytest.CaptureFixture[str], kind_of_type: str
) -> None:
    conn_id = connect("theirs", dict(getattr(place, kind_of_type)))
    settings = [f"{name}={json.dumps(value)}" for name, value in place.source.items()]
    sample(Namespace(what=conn_id, settings=settings, rows=len(ROWS), json=True))
    printed = capsys.readouterr()
    (found,) = json.loads(printed.out)
    rows = [{name: row[name] for name in ROWS[0]} for row in found["rows"]]
    assert sorted(rows, key=lambda row: row["id"]) == ROWS
    secret = str(place.fields.get("password") or uuid4())
    assert secret not in printed.out + printed.err
    # One that does not answer ends the process.
    check(Namespace(what=conn_id, settings=[], json=False))


def test_new_data_is_what_the_chain_has_not(place: Place, connect: Callable[..., str]) -> None:
    conn_id = connect("followed", place.ours)
    config = place.config(conn_id=conn_id)
    waited = NewData(config=config, project="shop")

    def read(run_id: str) -> int:
        named = connections_of_stage("ingest", config)
        runtime = build_runtime(
            store_conn_id="aimass_store", tracking_conn_id="aimass_mlflow", project="shop", run_id=run_id,
            connections=connection_documents(named),
        )  # fmt: skip
        return ingest.run(IngestConfig.model_validate(config), Deps.from_runtime(runtime, purpose="test")).rows

    first = waited.look()
    assert first.met
    assert first.value["number"] == 0
    rows = read("one")
    looked = waited.look()
    assert not looked.met, looked
    assert "nothing new after 1 pieces" in looked.told
    place.add([{**row, "id": row["id"] + rows} for row in MORE])
    again = waited.look()
    assert (again.met, again.value["number"]) == (True, 1)
    assert read("two") == rows + len(MORE)
    assert not waited.look().met
    secret = str(place.fields.get("password") or uuid4())
    assert secret not in json.dumps(again.value) + again.told
