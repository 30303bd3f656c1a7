"""The page of a model that is served and watched."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from starlette.testclient import TestClient

from aimass.core.deps import Deps, Runtime
from aimass.core.endpoints.status import MetricSample, ModelSample
from aimass.core.monitoring.events import AlertLog
from aimass.core.monitoring.observations import observe
from aimass.core.monitoring.result import MonitorResult
from aimass.core.monitoring.rules import Watch
from aimass.core.monitoring.samples import keep_samples, samples_folder
from aimass.core.release.ledger import Ledger
from aimass.core.release.promotion import open_registry, promote
from aimass.core.release.rollback import WHY
from aimass.core.stages.base import Output, Stage
from aimass.core.stages.monitor import MonitorConfig
from aimass.core.testing.endpoints import MemoryEndpoint, MemoryEndpointSettings
from aimass.core.testing.model_registry_contract import tiny_package
from tests.ui.made import CHINESE, HOSTILE, MODEL, PROJECT, MadeRun
from tests.ui.people import OWNER, VIEWER
from tests.ui.watched import BEGIN, LENGTH, keep, watched

Client = Callable[[SimpleAuthManagerUser], TestClient]
RULE = {"below": 0.5, "level": 4, "action": "rollback"}
PAGE = f"/aimass/models/{MODEL}/monitor"


def deps_of(made: MadeRun) -> Deps:
    return Deps.from_runtime(Runtime(store=made.store, project=PROJECT, tracking_uri=made.tracking_uri))


@pytest.fixture
def served(stored: MadeRun, monkeypatch: pytest.MonkeyPatch) -> MemoryEndpoint:
    """A server of the released model, at the default connection."""
    extra = {
        "server": "one",
        "store": stored.store,
        "tracking_uri": stored.tracking_uri,
        "registry": {"type": "mlflow"},
    }
    connection = {"conn_type": "aimass_serving", "extra": json.dumps({"type": "memory", **extra})}
    monkeypatch.setenv("AIRFLOW_CONN_AIMASS_SERVING", json.dumps(connection))
    endpoint = MemoryEndpoint(MemoryEndpointSettings.model_validate(extra))
    endpoint.sync()
    own = ModelSample(requests=120, errors=2, rows=120, p50_ms=0.7, p99_ms=4.0, versions={"1": 120})
    figures = {"interval_s": 10, "server_id": "one", "cpu_share": 0.3, "rss_bytes": 90 << 20, "models": {MODEL: own}}
    endpoint.server.samples[:] = [MetricSample.model_validate({"at": datetime.now(UTC), **figures})]
    return endpoint


@pytest.fixture(scope="module")
def history(made: MadeRun) -> None:
    """Twelve windows: version 2 gets a feed that goes wrong, and version 1 comes back; the last one has a report."""
    release = made.results["release", -1]
    fields = {"uri": release["uri"], "report": release["report"]}
    keep(deps_of(made), watched(MODEL, PROJECT, [HOSTILE, CHINESE, "calls"], **fields))


@pytest.fixture
def measured(made: MadeRun, history: None) -> Iterator[str]:
    """What the server measured over the twelve windows, but for the two in which it was down; the folder it lies in."""
    deps = deps_of(made)
    own = {"requests": 120, "errors": 6, "rows": 120, "p50_ms": 0.7, "p99_ms": 4.0}
    figures = {"interval_s": 10, "server_id": "one", "cpu_share": 0.25, "rss_bytes": 90 << 20, "models": {MODEL: own}}
    places = [place for place in range(1, 73) if not 24 < place <= 36]
    samples = [MetricSample.model_validate({"at": BEGIN + place * LENGTH / 6, **figures}) for place in places]
    keep_samples(deps.store, PROJECT, MODEL, samples)
    folder = samples_folder(deps.store, PROJECT, MODEL)
    yield folder
    deps.store.delete(folder)


@pytest.fixture(scope="module")
def judged(made: MadeRun, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with two versions, whose rule found the second one bad and brought the first one back."""
    name = "judged"
    folder = tmp_path_factory.mktemp(name)
    runtime = Runtime(
        store=made.store, project=PROJECT, tracking_uri=made.tracking_uri, run_id=f"aimass_monitor_{name}/scheduled__1"
    )
    clock = lambda: BEGIN + 6 * LENGTH  # noqa: E731
    deps = dataclasses.replace(Deps.from_runtime(runtime, purpose="test"), clock=clock)
    registry = open_registry({"type": "mlflow"}, deps)
    for bias in (0.25, 0.5):
        promote(registry, deps, tiny_package(folder, name, bias), alias="champion", why="better")
    windows = watched(name, PROJECT, ["calls"], story="2222xx1")
    keep(deps, windows)
    watch = Watch.model_validate(
        {"model": name, "window_minutes": 1, "rules": [{"name": "worse_than_guessing", "metric": "auc"} | RULE]}
    )
    for window in windows[:-1]:
        AlertLog(deps, PROJECT, name).judge(watch, observe(window))
    Ledger(deps, name).record("champion", old="2", new="1", digest="d" * 64, why=f"{WHY}auc fell")
    registry.set_alias(name, "champion", "1")
    return name


def test_nobody_and_strangers_see_nothing(stored: MadeRun, nobody: TestClient, client: Client) -> None:
    for address in (PAGE, f"{PAGE}/live", f"{PAGE}/20261123T121100Z/report.html"):
        assert nobody.get(address).status_code == 401
    assert client(VIEWER).get("/aimass/models/nothing/monitor").status_code == 404


def test_a_model_of_another_team_is_refused(stored: MadeRun, client: Client, tmp_path: Path) -> None:
    deps = Deps.from_runtime(Runtime(store=stored.store, project="theirs", tracking_uri=stored.tracking_uri))
    open_registry({"type": "mlflow"}, deps).register(tiny_package(tmp_path, "watched_secret", 0.125))
    for address in ("/aimass/models/watched_secret/monitor", "/aimass/models/watched_secret/monitor/live"):
        assert client(VIEWER).get(address).status_code == 403
        assert client(OWNER).get(address).status_code == 200


def test_a_model_that_is_not_watched_says_how(served: MemoryEndpoint, reader: TestClient) -> None:
    answer = reader.get(PAGE)
    assert answer.status_code == 200, answer.text
    assert "include/alerts" in answer.text
    assert "ready" in answer.text


def test_the_server_is_shown_as_it_stands(served: MemoryEndpoint, reader: TestClient) -> None:
    page = reader.get(f"{PAGE}/live").text
    assert '<meta http-equiv="refresh"' in page
    assert re.search(r"<th scope=\"row\">v1.*champion", page, re.DOTALL)
    for title in ("Requests per second", "Latency in ms", "Processors in use", "Memory in MiB", "Disk in MiB"):
        assert title in page
    for said in ("answered 12", "errors 0.2", "99th percentile 4", "memory 90"):
        assert f" UTC: {said}</title>" in page


def test_a_server_that_is_down_is_said_and_the_rest_is_shown(
    served: MemoryEndpoint, history: None, reader: TestClient
) -> None:
    served.server.down = True
    try:
        page = reader.get(PAGE).text
    finally:
        served.server.down = False
    assert "does not answer" in page
    assert "Drift by column" in page


def test_what_was_measured_is_plotted_while_the_server_is_down(
    served: MemoryEndpoint, measured: str, reader: TestClient
) -> None:
    served.server.down = True
    try:
        pages = {language: reader.get(PAGE, params={"lang": language}).text for language in ("en", "zh")}
    finally:
        served.server.down = False
    page = pages["en"].partition("Run metrics")[2]
    titles = ("Requests per second", "Latency in ms", "Rows that wait", "Processors in use", "Memory in MiB", "Disk")
    for title in titles:
        assert f"<figcaption>{title}" in page
    for said in ("answered 12", "errors 0.6", "99th percentile 4", "processors 0.25", "memory 90"):
        assert f" UTC: {said}</title>" in page
    answered = re.search(r'aria-label="Requests per second:.*?<path class="line blue" d="([^"]*)"', page)
    assert answered is not None
    assert answered[1].count("M") == 2, "the time in which it was down is not drawn over"
    assert "运行指标" in pages["zh"]
    assert "每秒请求数" in pages["zh"]


def test_where_nothing_was_measured_it_is_said(served: MemoryEndpoint, reader: TestClient, judged: str) -> None:
    assert "No run metrics were kept in these windows" in reader.get(f"/aimass/models/{judged}/monitor").text


def test_measurements_that_cannot_be_read_are_said_and_the_rest_is_shown(
    made: MadeRun, served: MemoryEndpoint, measured: str, reader: TestClient
) -> None:
    store = deps_of(made).store
    [name] = store.list(measured)
    store.publish(f"{measured}/{name}", b"[")
    page = reader.get(PAGE).text
    assert f"{name} does not hold samples" in page
    assert "Drift by column" in page


def test_without_a_connection_it_says_where_to_add_one(stored: MadeRun, reader: TestClient) -> None:
    assert "Admin → Connections" in reader.get(PAGE).text


def test_the_windows_are_plotted_listed_and_escaped(served: MemoryEndpoint, history: None, reader: TestClient) -> None:
    page = reader.get(PAGE).text
    assert HOSTILE not in page
    assert CHINESE in page
    assert page.count('<span class="unseen">drifted</span>') == 2
    assert 'class="band blue"' in page
    assert "version 2" in page
    assert re.search(r'href="[^"]*/monitor/20261123T121100Z/report.html"', page)


def test_what_rules_did_is_told_beside_the_moves_of_the_alias(
    served: MemoryEndpoint, reader: TestClient, judged: str
) -> None:
    page = reader.get(f"/aimass/models/{judged}/monitor").text
    assert re.search(r"tag error.*worse_than_guessing: firing", page)
    assert "auc is 0.18" in page
    assert "critical" in page
    assert f'href="/dags/aimass_monitor_{judged}/runs/scheduled__1"' in page
    assert re.search(r"rolled back.*champion: 2 → 1: auc fell.*tasks/evidence/report", page, re.DOTALL)
    assert 'class="mark purple"' in page
    chinese = reader.get(f"/aimass/models/{judged}/monitor", params={"lang": "zh"}).text
    assert "auc is 0.18" not in chinese
    assert "champion：2 → 1：auc fell" in chinese


def test_a_log_that_was_changed_is_said(served: MemoryEndpoint, reader: TestClient, judged: str, made: MadeRun) -> None:
    folder = Path(f"{made.store}/{PROJECT}/alerts/{judged}/log".removeprefix("file://"))
    entry = sorted(folder.iterdir())[-2]
    kept = entry.read_text()
    entry.write_text(kept.replace("scheduled__1", "scheduled__2"))
    try:
        assert "does not follow the one before it" in reader.get(f"/aimass/models/{judged}/monitor").text
    finally:
        entry.write_text(kept)


def test_a_windows_report_can_do_no_harm(stored: MadeRun, history: None, reader: TestClient) -> None:
    answer = reader.get(f"{PAGE}/20261123T121100Z/report.html")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("sandbox allow-downloads; default-src 'none';")
    for address in ("20261123T121100Z/model.onnx", "20261123T121100Z/evidently.html", "20261123T120000Z/report.html"):
        assert reader.get(f"{PAGE}/{address}").status_code == 404
    assert reader.get(f"{PAGE}/..%2f..%2fledger/report.html").status_code == 404


def test_evidentlys_report_is_for_the_readers_own_disk(stored: MadeRun, made: MadeRun, reader: TestClient) -> None:
    deps = deps_of(made)

    def body(config: MonitorConfig, deps: Deps, output: Output) -> MonitorResult:
        evidently = output.write_file("evidently.html", "<script>drawn()</script>")
        [window] = watched(MODEL, PROJECT, ["calls"], story="1", uri=output.uri, evidently=evidently)
        return window.model_copy(update={"start": config.start, "end": config.end})

    stage = Stage("monitor", MonitorConfig, MonitorResult, code_version=0, body=body)
    start = BEGIN - LENGTH
    result = stage.run(MonitorConfig(model=MODEL, start=start, end=BEGIN), deps)
    keep(deps, [result])
    address = f"{PAGE}/{start:%Y%m%dT%H%M%SZ}/evidently.html"
    assert f'href="{address}" download' in reader.get(PAGE).text
    answer = reader.get(address)
    assert (answer.status_code, answer.text) == (200, "<script>drawn()</script>")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-security-policy"].startswith("sandbox ")


@pytest.fixture(scope="module")
def quiet(made: MadeRun, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with bad answers in two windows, and none in the windows after; a rule for each kind of metric."""
    name = "quiet"
    deps = deps_of(made)
    open_registry({"type": "mlflow"}, deps).register(tiny_package(tmp_path_factory.mktemp(name), name, 0.25))
    windows = watched(name, PROJECT, ["calls"], story="xx---")
    keep(deps, windows)
    rules = [
        {"name": "worse", "metric": "auc"} | RULE,
        {"name": "moved", "metric": "score_drift", "above": 1, "k": 3},
    ]
    watch = Watch.model_validate({"model": name, "window_minutes": 1, "rules": rules})
    for window in windows:
        AlertLog(deps, PROJECT, name).judge(watch, observe(window))
    return name


def test_a_window_without_answers_is_neither_good_nor_bad(
    served: MemoryEndpoint, reader: TestClient, quiet: str
) -> None:
    page = reader.get(f"/aimass/models/{quiet}/monitor").text
    assert "neither good nor bad, and no rule acts on it" in page
    for rule in ("worse", "moved"):
        assert re.search(rf"tag warning.*{rule}: no data", page)
        assert f"{rule}: no data about" in page
    assert '<span class="tag">no data</span>' in page


@pytest.mark.parametrize("language", ["en", "zh"])
def test_both_languages(language: str, served: MemoryEndpoint, history: None, reader: TestClient) -> None:
    assert ("漂移" in reader.get(PAGE, params={"lang": language}).text) == (language == "zh")
