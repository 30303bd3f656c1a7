"""A real server with two workers before a registry in a folder: what the registry says is what it does.

One server goes through the tests in their order, in one of the processes that tests are shared among.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aimass.core.endpoints.status import MetricSample, ServerStatus
from aimass.core.errors import NotFoundError
from aimass.serving.config import ServeConfig
from aimass.serving.replay import replay, told
from tests.services.folder_registry import ROW, FolderRegistry
from tests.services.inference import Inference, inference_server

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("inference server")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def registry(folder: Path) -> FolderRegistry:
    registry = FolderRegistry(folder / "registry")
    for name in ("late", "early", "spare"):
        registry.add(name, 0.1)
        registry.set_alias(name, "champion", "1")
    return registry


@pytest.fixture(scope="module")
def server(folder: Path, registry: FolderRegistry) -> Iterator[Inference]:
    options = {"workers": 2, "store": folder / "store", "log_flush_s": 0.5, "registry_poll_s": 60, "prewarm": "late"}
    with inference_server(folder, registry, **options) as server:
        yield server


def versions(server: Inference, name: str) -> list[str]:
    return [version["version"] for version in server.model(name).get("versions", [])]


def test_a_new_champion_is_loaded_tried_and_served_and_a_rollback_takes_no_load(
    server: Inference, registry: FolderRegistry
) -> None:
    assert server.predict().json()["version"] == "1"
    registry.add("late", 0.9, extra="dep_delay")
    registry.set_alias("late", "previous", "1")
    registry.set_alias("late", "champion", "2")
    before = server.status()["generation"]
    status = ServerStatus.model_validate(server.sync())
    model = status.model("late")
    assert model is not None
    assert model.aliases == {"champion": "2", "previous": "1"}
    assert status.generation == before + 1
    assert server.predict().status_code == 422
    with_delay = {"rows": [ROW | {"dep_delay": 3.0}]}
    assert server.http.post("/predict/late", json=with_delay).json()["version"] == "2"
    registry.set_alias("late", "champion", "1")
    server.sync()
    # Clients that send the new column go on being answered.
    assert server.http.post("/predict/late", json=with_delay).json()["version"] == "1"


def test_a_known_model_is_loaded_when_it_is_asked(server: Inference, registry: FolderRegistry) -> None:
    assert versions(server, "early") == []
    assert server.predict("early").status_code == 200
    assert versions(server, "early") == ["1"]
    assert server.predict("nobody").status_code == 404


def test_a_version_is_loaded_by_number_and_unloaded_again(server: Inference, registry: FolderRegistry) -> None:
    registry.add("early", 0.7)
    server.sync()
    assert server.predict("early", params={"version": "2"}).json()["version"] == "2"
    assert versions(server, "early") == ["1", "2"]
    assert server.http.post("/aimass/models/early/versions/1/unload").status_code == 503
    assert server.http.post("/aimass/models/early/versions/2/unload").status_code == 200
    assert versions(server, "early") == ["1"]
    answer = server.predict("early", params={"version": "9"})
    assert answer.status_code == 404
    assert "no version 9" in answer.json()["error"]


def test_traffic_is_split_by_the_tag_and_sticks_to_its_key(server: Inference, registry: FolderRegistry) -> None:
    registry.add("early", 0.5)
    registry.set_alias("early", "challenger", "3")
    registry.set_model_tags("early", {"aimass.traffic": '{"champion": 0.5, "challenger": 0.5}'})
    model = next(model for model in server.sync()["models"] if model["name"] == "early")
    assert model["traffic"] == {"champion": 0.5, "challenger": 0.5}
    keys = [str(number) for number in range(40)]
    first = [server.predict("early", headers={"X-Route-Key": key}).json()["alias"] for key in keys]
    assert min(Counter(first).values()) > 8
    assert first == [server.predict("early", headers={"X-Route-Key": key}).json()["alias"] for key in keys]
    registry.set_model_tags("early", {"aimass.traffic": None})
    server.sync()
    assert server.predict("early").json()["alias"] == "champion"


def test_versions_on_their_way_out(server: Inference, registry: FolderRegistry) -> None:
    registry.set_tags("early", "3", {"aimass.state": "deprecated"})
    server.sync()
    answer = server.predict("early", params={"alias": "challenger"})
    assert (answer.status_code, answer.headers["deprecation"]) == (200, "true")
    registry.delete_alias("early", "challenger")
    registry.set_tags("early", "3", {"aimass.state": "archived"})
    server.sync()
    assert versions(server, "early") == ["1"]
    assert server.predict("early", params={"version": "3"}).status_code == 404


def test_a_model_that_is_switched_off_is_gone(server: Inference, registry: FolderRegistry) -> None:
    registry.set_model_tags("early", {"aimass.serve": "off"})
    server.sync()
    assert server.predict("early").status_code == 404
    assert server.model("early") == {}


def test_a_logged_request_is_answered_again_with_the_same_bits(
    server: Inference, registry: FolderRegistry, folder: Path
) -> None:
    rows = [ROW, {"origin": None, "distance": None, "stops": None}]
    assert server.http.post("/predict/late", json={"rows": rows}, headers={"X-Request-Id": "again"}).status_code == 200
    config = ServeConfig(store=str(folder / "store"), cache_dir=folder / "replay")

    def found() -> bool:
        try:
            outcome = replay(config, registry, "again")
        except NotFoundError:
            return False
        assert outcome.is_equal
        assert outcome.rows == 2
        assert "the same bits" in told(outcome)
        return True

    server.wait_for(found)
    with pytest.raises(NotFoundError, match="No request 'never'"):
        replay(config, registry, "never")


def test_late_labels_are_taken_in_the_spelling_of_the_training_data(server: Inference) -> None:
    labels = [{"request_id": "again", "label": "yes"}, {"request_id": "again", "row": 1, "label": 0}]
    assert server.http.post("/aimass/models/late/labels", json={"labels": labels}).json() == {"accepted": 2}
    wrong = server.http.post("/aimass/models/late/labels", json={"labels": [{"request_id": "again", "label": "maybe"}]})
    assert wrong.status_code == 400
    assert "Known: 0, 1, no, yes" in wrong.json()["error"]


def test_a_version_is_tried_on_request(server: Inference) -> None:
    report = server.http.post("/aimass/models/late/versions/2/shadow", json={"rows": 50}).json()
    assert report["ok"]
    assert report["against"] == "1"
    assert report["rows"] > 0
    assert server.http.post("/aimass/models/late/versions/9/shadow", json={}).status_code == 404


def test_a_challenger_that_may_not_take_over_goes_on_where_it_is(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "registry")
    registry.add("late", 0.1)
    registry.add("late", 3.0)
    registry.set_alias("late", "champion", "1")
    registry.set_alias("late", "challenger", "2")
    registry.set_model_tags("late", {"aimass.traffic": '{"champion": 0.5, "challenger": 0.5}'})
    with inference_server(tmp_path, registry, shadow_max_mean_diff=0.001, registry_poll_s=60) as server:
        for number in range(20):
            assert server.predict(headers={"X-Route-Key": str(number)}).status_code == 200
        registry.set_alias("late", "champion", "2")
        model = server.sync()["models"][0]
        assert model["aliases"] == {"champion": "1", "challenger": "2"}
        assert "differ" in model["alarm"]
        answers = {server.predict(headers={"X-Route-Key": str(number)}).json()["version"] for number in range(20)}
        assert answers == {"1", "2"}


def test_what_it_measured_is_told(server: Inference) -> None:
    status = ServerStatus.model_validate(server.status())
    late = status.model("late")
    assert late is not None
    first = late.named("1")
    assert first is not None
    assert first.requests > 0
    assert first.last_request_at is not None
    assert first.last_request_at < datetime.now(UTC)
    assert len(status.workers) == 2
    samples = server.wait_for(lambda: server.http.get("/aimass/samples").json())
    assert MetricSample.model_validate(samples[0]).server_id == "s"
    text = server.http.get("/metrics").text
    for name in ("aimass_generation", "aimass_model_alarm", "aimass_version_memory_bytes", "aimass_requests_total"):
        assert name in text


def test_the_least_recently_used_model_makes_room_unless_it_is_pinned(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "registry")
    for name in ("a", "b", "c"):
        registry.add(name, 0.1)
        registry.set_alias(name, "champion", "1")
        registry.grow(name, "1", 9 << 20)
    options = {"memory_budget_mb": 50, "pins": "a", "prewarm": "a", "registry_poll_s": 60}
    with inference_server(tmp_path, registry, **options) as server:
        for name in ("b", "c", "b"):
            assert server.predict(name).status_code == 200
            assert versions(server, "a") == ["1"]
            assert versions(server, name) == ["1"]
        assert versions(server, "c") == []
        assert server.predict("a").status_code == 200
        text = server.http.get("/metrics").text
        for name, count in (("b", 2), ("c", 1)):
            assert f'aimass_loads_total{{model="{name}",outcome="loaded"}} {count}.0' in text
            assert f'aimass_load_seconds_count{{model="{name}"}} {count}.0' in text
            assert f'aimass_load_waits_total{{model="{name}"}} {count}.0' in text
            assert f'aimass_evictions_total{{model="{name}"}} 1.0' in text
