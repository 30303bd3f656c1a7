"""The list of models, and the page of one."""

from __future__ import annotations

import html
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from starlette.testclient import TestClient

from aimass.core.deps import Deps, Runtime
from aimass.core.release.base import RegisteredModel, Version
from aimass.core.release.ledger import Ledger
from aimass.core.release.promotion import open_registry, promote
from aimass.core.testing.model_registry_contract import tiny_package
from aimass.ui import patience, registered
from tests.ui.made import DAG_ID, HOSTILE, MODEL, PROJECT, MadeRun
from tests.ui.people import OWNER
from tests.ui.seeding import Seeding

Client = Callable[[SimpleAuthManagerUser], TestClient]


def deps_of(made: MadeRun, project: str = PROJECT) -> Deps:
    return Deps.from_runtime(Runtime(store=made.store, project=project, tracking_uri=made.tracking_uri))


def page_of(client: TestClient, name: str = MODEL, **query: object) -> str:
    answer = client.get(f"/aimass/models/{name}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.fixture(scope="module")
def two_versions(made: MadeRun, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with a second version, whose name and reason are as bad as the registry lets them be."""
    folder, deps, name = tmp_path_factory.mktemp("versions"), deps_of(made), "twice"
    registry = open_registry({"type": "mlflow"}, deps)
    for bias, auc in ((0.25, 0.6), (0.5, 0.7)):
        package = tiny_package(folder, name, bias)
        package.tags.update({"aimass.metrics": json.dumps({"auc": auc, "log_loss": 1 - auc, HOSTILE: 1.0})})
        package.tags.update({"aimass.family": HOSTILE, "aimass.output": "file:///etc", "aimass.project": PROJECT})
        promote(registry, deps, package, alias="champion", why=f"{HOSTILE} {bias}")
    return name


def test_the_list_shows_the_champion_and_its_figures(stored: MadeRun, reader: TestClient) -> None:
    answer = reader.get("/aimass/models")
    assert answer.status_code == 200
    assert f'href="/aimass/models/{MODEL}"' in answer.text
    assert "champion: version 1" in answer.text
    assert "AUC" in answer.text
    assert f"/aimass/pipelines/{DAG_ID}?run=manual__made" in answer.text


def test_the_list_leaves_out_what_one_may_not_read(
    stored: MadeRun, seeding: Seeding, reader: TestClient, client: Client, tmp_path: Path
) -> None:
    registry = open_registry({"type": "mlflow"}, deps_of(stored, "theirs"))
    registry.register(tiny_package(tmp_path, "secret", 0.125))
    assert "/models/secret" not in reader.get("/aimass/models").text
    assert reader.get("/aimass/models/secret").status_code == 403
    assert "/models/secret" in client(OWNER).get("/aimass/models").text
    assert client(OWNER).get("/aimass/models/secret").status_code == 200


def test_what_nobody_registered_is_not_found(stored: MadeRun, reader: TestClient) -> None:
    assert reader.get("/aimass/models/nobody").status_code == 404
    assert reader.get(f"/aimass/models/{MODEL}?version=99").status_code == 404


def test_a_model_shows_certificate_ledger_card_and_graph(stored: MadeRun, reader: TestClient) -> None:
    page = page_of(reader)
    for title in (
        "Versions",
        "Quality on the test part",
        "From raw columns to the answer",
        "Parity certificate",
        "Ledger",
    ):
        assert title in page
    assert "chain is whole" in page
    assert "it passed the gate" in page
    assert f"/aimass/pipelines/{DAG_ID}/runs/manual__made/tasks/release/report" in page
    assert "<h3>" in page.split('<div class="markdown">')[1]
    assert 'class="box model"' in page
    # The number of features, raw columns and steps stand in the graph; its table lists each feature.
    assert '<svg class="drawing"' in page


def test_names_are_escaped_wherever_they_stand(stored: MadeRun, reader: TestClient, two_versions: str) -> None:
    for page in (page_of(reader), page_of(reader, two_versions), reader.get("/aimass/models").text):
        assert "<img" not in re.sub(r'<img src="[^"]*icon[^"]*"', "", page)
        assert "onerror=alert(1)>" not in page
    assert html.escape(HOSTILE) in page_of(reader)


def test_versions_are_compared(stored: MadeRun, reader: TestClient, two_versions: str) -> None:
    page = page_of(reader, two_versions)
    assert "<b>0.7</b>" in page, "the greater AUC is the better one"
    assert "<b>0.3</b>" in page, "the smaller log loss is the better one"
    assert page.count('class="plot"') == 1
    assert "previous" in page
    first = page_of(reader, two_versions, version="1")
    assert "<small>version 1</small>" in first


def test_a_version_whose_output_is_gone_still_has_a_page(
    stored: MadeRun, reader: TestClient, two_versions: str
) -> None:
    page = page_of(reader, two_versions)
    assert "is gone" in page
    assert "Parity certificate" not in page


def test_tags_do_not_open_another_pipelines_output(stored: MadeRun, two_versions: str) -> None:
    deps = deps_of(stored)
    output = stored.results["release", -1]["uri"]
    version = Version("x", "1", "", {"aimass.output": output}, "models:/x/1")
    assert registered.released(deps, RegisteredModel("x", PROJECT, {}), version) is not None
    assert registered.released(deps, RegisteredModel("x", "others", {}), version) is None


def test_a_broken_ledger_is_told(stored: MadeRun, reader: TestClient, two_versions: str) -> None:
    entry = Path(f"{stored.store}/ledger/{two_versions}/00000000.json".removeprefix("file://"))
    kept = entry.read_text()
    entry.write_text(kept.replace("0.25", "0.99"))
    try:
        page = page_of(reader, two_versions)
        assert "does not follow the one before it" in page
        assert "chain is whole" not in page
        assert reader.get("/aimass/models").status_code == 200
    finally:
        entry.write_text(kept)
    assert len(Ledger(deps_of(stored), two_versions).entries()) == 2


def test_an_alias_that_was_moved_past_the_ledger_is_told(
    stored: MadeRun, reader: TestClient, two_versions: str
) -> None:
    registry = open_registry({"type": "mlflow"}, deps_of(stored))
    assert "without a release" not in page_of(reader, two_versions)
    registry.set_alias(two_versions, "champion", "1")
    try:
        assert "points champion at version 1" in page_of(reader, two_versions)
    finally:
        registry.set_alias(two_versions, "champion", "2")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that takes connections and never says a word."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_silent_registry_is_not_waited_for(
    stored: MadeRun, reader: TestClient, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AIMASS__TRACKING_URI", silent)
    monkeypatch.setattr(
        registered, "patiently", lambda question, whom: patience.patiently(question, whom=whom, seconds=0.5)
    )
    for address in ("/aimass/models", f"/aimass/models/{MODEL}"):
        began = time.monotonic()
        answer = reader.get(address)
        assert answer.status_code == 502
        assert "has not answered" in answer.text
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("language", ["en", "zh"])
def test_both_languages(language: str, stored: MadeRun, reader: TestClient) -> None:
    assert ("台账" in page_of(reader, lang=language)) == (language == "zh")
