"""One demo for all tests of this folder."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.customers import write_customers
from tests.e2e.running import ASKED_PIPELINE, ROOT, SMALL_PIPELINE, Demo

HERE = Path(__file__).parent
PREFERRED_PORT = 8080
LAST = "test_down_leaves_no_process"


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let `test_demo` start the demo and end it; what only uses it comes between, not a minute of starting later."""
    ours = [index for index, item in enumerate(items) if HERE in item.path.parents]
    places = [index for index in ours if "demo" in getattr(items[index], "fixturenames", ())]
    users = [items[index] for index in places]
    for item in users:
        item.add_marker(pytest.mark.xdist_group("demo"))
    users.sort(key=lambda item: 2 if item.name == LAST else int(item.path.stem != "test_demo"))
    for index, item in zip(places, users, strict=True):
        items[index] = item


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo whose preferred port is busy and whose folder has a space; nothing is started yet."""
    base = tmp_path_factory.mktemp("e2e")
    pipelines = base / "pipelines"
    pipelines.mkdir()
    write_customers(base / "customers.csv", rows=2_000)
    csv = (base / "customers.csv").as_uri()
    (pipelines / "small.yaml").write_text(SMALL_PIPELINE.format(name="small", csv=csv))
    (pipelines / "asked.yaml").write_text(ASKED_PIPELINE.format(csv=csv))
    (pipelines / "broken.yaml").write_text("name: broken\nsources: {a: {type: file, uri: x.csv}}\ntarget: {name: y}\n")
    shutil.copy(ROOT / "include" / "pipelines" / "flights.yaml", pipelines)
    found = Demo(base / "demo folder", pipelines)
    with socket.socket() as busy:
        # Connections that somebody closed a moment ago do not count.
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            busy.bind(("127.0.0.1", PREFERRED_PORT))
            busy.listen()
        except OSError:
            pass  # somebody else keeps it busy
        yield found
    found.call("down")
