"""kill -9 of a server's processes under load, and what else goes wrong around it: it serves on, and loses nothing."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps, Runtime
from aimass.core.monitoring.log import REQUEST_ID
from tests.services.folder_registry import ROW, FolderRegistry
from tests.services.inference import Inference, inference_server
from tests.services.server import free_port

pytestmark = [pytest.mark.crash, pytest.mark.slow]

CLIENTS = 6


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    registry = FolderRegistry(tmp_path / "registry")
    registry.add("late", 0.1)
    registry.set_alias("late", "champion", "1")
    return registry


class Load:
    """Clients with a connection each that ask without a pause, and note what came of it."""

    def __init__(self, server: Inference, rows: int = 1) -> None:
        self.answered: dict[str, str] = {}
        self.statuses: set[int] = set()
        self.broken = 0
        self.rows = rows
        self._url = f"http://127.0.0.1:{server.port}/predict/late"
        self._end = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[Load]:
        threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._end.set()
            for thread in threads:
                thread.join()

    def _ask(self, number: int) -> None:
        count = 0
        client = httpx.Client(timeout=20.0)
        while not self._end.is_set():
            count += 1
            request_id = f"c{number}-{count}"
            try:
                answer = client.post(self._url, json={"rows": [ROW] * self.rows}, headers={"X-Request-Id": request_id})
            except httpx.TransportError:
                self.broken += 1
                client.close()
                client = httpx.Client(timeout=20.0)
                continue
            self.statuses.add(answer.status_code)
            if answer.status_code == 200:
                self.answered[request_id] = answer.json()["version"]
        client.close()

    def wait_for_more(self, count: int) -> None:
        """Wait until so many requests more were answered."""
        until = len(self.answered) + count
        deadline = time.monotonic() + 30
        while len(self.answered) < until:
            assert time.monotonic() < deadline, f"{len(self.answered)} answers, {self.broken} broken"
            time.sleep(0.01)


def logged(store: Path) -> list[str]:
    """Return the requests in the prediction log."""
    deps = Deps.from_runtime(Runtime(store=str(store)))
    folder = store / "flights" / "predictions" / "late"
    found: list[str] = []
    for manifest in sorted(folder.glob("*/manifest.json")):
        dataset = open_dataset(str(manifest.parent), deps)
        found += dataset.read(columns=[REQUEST_ID])[REQUEST_ID].to_list()
    return found


def test_a_killed_worker_takes_only_its_own_requests_along_and_every_answer_is_in_the_log(
    tmp_path: Path, registry: FolderRegistry, request: pytest.FixtureRequest
) -> None:
    seed = request.config.getoption("--crash-seed")
    kills = 4
    print(f"seed {seed}, {kills} kills")
    chance = random.Random(seed)
    with inference_server(tmp_path, registry, workers=2, store=tmp_path / "store", log_flush_s=0.5) as server:
        with Load(server).running() as load:
            for _ in range(kills):
                load.wait_for_more(chance.randint(50, 300))
                victim = chance.choice(server.workers())
                server.kill(victim)
                server.wait_for(lambda gone=victim: len(server.workers()) == 2 and gone not in server.workers())
        assert load.statuses == {200}
        assert load.broken <= kills * CLIENTS
    found = logged(tmp_path / "store")
    assert len(found) == len(set(found))
    assert set(load.answered) <= set(found)


def test_a_killed_sealing_process_neither_loses_nor_doubles_a_row(tmp_path: Path, registry: FolderRegistry) -> None:
    with (
        inference_server(tmp_path, registry, store=tmp_path / "store", log_flush_s=0.2) as server,
        Load(server).running() as load,
    ):
        for _ in range(5):
            load.wait_for_more(100)
            for child in psutil.Process(server.pid).children():
                if "aimass.serving.sealing" in child.cmdline():
                    server.kill(child.pid)
    found = logged(tmp_path / "store")
    assert sorted(found) == sorted(set(found))
    assert set(load.answered) <= set(found)


def test_without_its_supervisor_a_server_ends_and_one_started_anew_serves_from_its_cache(
    tmp_path: Path, registry: FolderRegistry
) -> None:
    port = free_port()
    options = {"port": port, "workers": 2, "store": tmp_path / "store", "log_flush_s": 60}
    with inference_server(tmp_path, registry, **options) as server:
        assert server.predict(headers={"X-Request-Id": "before"}).status_code == 200
        workers = server.workers()
        server.kill(server.pid)
        server.wait_for(lambda: not any(map(psutil.pid_exists, workers)))
    registry.go_down()
    with inference_server(tmp_path, registry, **options) as server:
        assert server.predict().json()["version"] == "1"
        status = server.wait_for(lambda: server.status() if server.status()["registry"]["checked_at"] else None)
        assert not status["registry"]["reachable"]
        assert "does not answer" in status["registry"]["error"]
        server.wait_for(lambda: "before" in logged(tmp_path / "store"))
        registry.come_up()
        server.wait_for(lambda: server.status()["registry"]["reachable"])


def test_a_registry_that_goes_down_changes_nothing_but_what_the_server_says(
    tmp_path: Path, registry: FolderRegistry
) -> None:
    with inference_server(tmp_path, registry) as server, Load(server).running() as load:
        registry.go_down()
        server.wait_for(lambda: not server.status()["registry"]["reachable"])
        load.wait_for_more(100)
        assert server.http.get("/v2/health/ready").status_code == 200
        metrics = server.wait_for(
            lambda: text if "aimass_registry_reachable 0.0" in (text := server.http.get("/metrics").text) else None
        )
        assert "aimass_generation" in metrics
        registry.come_up()
        registry.add("late", 0.9)
        registry.set_alias("late", "champion", "2")
        server.wait_for(lambda: server.model()["aliases"]["champion"] == "2")
    assert load.statuses == {200}
    assert load.broken == 0


@pytest.mark.parametrize("damage", ["changed", "garbage", "nan", "no signature", "missing file"])
def test_a_version_that_cannot_take_over_leaves_the_old_one_and_an_alarm(
    tmp_path: Path, registry: FolderRegistry, damage: str
) -> None:
    with inference_server(tmp_path, registry, workers=2) as server, Load(server).running() as load:
        load.wait_for_more(20)
        bad = registry.add("late", float("nan") if damage == "nan" else 0.9)
        file = registry.file("late", bad.version, "graph.json" if damage == "no signature" else "model.onnx")
        if damage == "missing file":
            file.unlink()
        elif damage != "nan":
            file.write_bytes(b"no model")
        if damage == "garbage":
            registry.redigest("late", bad.version)
        registry.set_alias("late", "champion", bad.version)
        model = server.wait_for(lambda: found if (found := server.model())["alarm"] else None)
        assert model["aliases"] == {"champion": "1"}
        assert "stays at version 1" in model["alarm"]
        assert next(each for each in model["versions"] if each["version"] == bad.version)["state"] == "failed"
        load.wait_for_more(100)
        good = registry.add("late", 0.5)
        registry.set_alias("late", "champion", good.version)
        server.wait_for(lambda: server.model()["aliases"] == {"champion": good.version} and not server.model()["alarm"])
    assert load.statuses == {200}
    assert load.broken == 0
    assert set(load.answered.values()) <= {"1", good.version}


def test_a_version_that_finds_no_room_on_the_disk_leaves_the_old_one_and_an_alarm(
    tmp_path: Path, registry: FolderRegistry
) -> None:
    with inference_server(tmp_path, registry, largest_file=1 << 20) as server, Load(server).running() as load:
        load.wait_for_more(20)
        large = registry.add("late", 0.9)
        registry.grow("late", large.version, 2 << 20)
        registry.set_alias("late", "champion", large.version)
        model = server.wait_for(lambda: found if (found := server.model())["alarm"] else None)
        assert model["aliases"] == {"champion": "1"}
        assert "stays at version 1" in model["alarm"]
        assert "fetching a version" in model["alarm"]
        assert not list((tmp_path / "cache" / "models").glob(".fetch-*"))
        load.wait_for_more(100)
        small = registry.add("late", 0.5)
        registry.set_alias("late", "champion", small.version)
        server.wait_for(
            lambda: server.model()["aliases"] == {"champion": small.version} and not server.model()["alarm"]
        )
    assert load.statuses == {200}
    assert load.broken == 0
    assert set(load.answered.values()) <= {"1", small.version}


def test_a_full_disk_costs_log_rows_and_no_answer(tmp_path: Path, registry: FolderRegistry) -> None:
    with (
        inference_server(
            tmp_path, registry, store=tmp_path / "store", log_flush_s=3600, largest_file=1 << 20
        ) as server,
        Load(server, rows=1000).running() as load,
    ):
        server.wait_for(lambda: "predictions are dropped" in server.log)
        load.wait_for_more(50)
        assert load.statuses == {200}
        assert load.broken == 0
