from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from demo.errors import DemoError
from demo.home import Home
from demo.services import Service, Services, tail


@pytest.fixture
def services(tmp_path: Path) -> Services:
    home = Home(tmp_path)
    home.prepare()
    home.choose_ports()
    return Services(home)


def service(code: str) -> Service:
    return Service("scheduler", [sys.executable, "-c", code], lambda: False)


def test_a_service_that_dies_is_reported_with_its_last_words(services: Services) -> None:
    (services.home.logs / "scheduler.log").write_text("from an earlier start\n")
    services.start(service("import sys; sys.exit('no database here')"))
    with pytest.raises(DemoError) as caught:
        services.wait_until_ready({"scheduler"}, timeout_s=20)
    assert "scheduler has died" in str(caught.value)
    assert "no database here" in str(caught.value)
    assert "earlier start" not in str(caught.value)


def test_a_service_that_never_gets_ready_is_reported_when_time_is_up(services: Services) -> None:
    services.start(service("import time; print('still thinking', flush=True); time.sleep(600)"))
    try:
        log = services.home.logs / "scheduler.log"
        deadline = time.monotonic() + 10
        while not log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        with pytest.raises(DemoError, match=r"did not become ready within 0 s[\s\S]*still thinking"):
            services.wait_until_ready({"scheduler"}, timeout_s=0.1)
    finally:
        assert services.stop() == ["scheduler"]
    assert services.running() == {}
    assert not list(services.home.run.iterdir())


def test_stopping_twice_is_fine(services: Services) -> None:
    services.start(service("import time; time.sleep(600)"))
    assert services.stop() == ["scheduler"]
    assert services.stop() == []


def test_tail_keeps_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    assert tail(log, lines=2) == "    line 98\n    line 99"
    log.write_text("")
    assert tail(log) == "    (empty)"
