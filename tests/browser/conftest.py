"""One Chromium for all tests of this folder; a window per page; no test passes over an error on the console."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.services.browser import Pages, running_browser

PICTURES = Path(__file__).parents[2] / "reports" / "browser"
FAILED = pytest.StashKey[bool]()
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder: a missing browser skips it on a laptop and fails it in CI."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration("chromium"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the fixture know whether its test failed."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with running_browser() as started:
        yield started


@pytest.fixture
def pages(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Pages]:
    """Opens pages; fails a test that leaves errors on the console, and keeps pictures of one that fails."""
    opened = Pages(browser)
    yield opened
    failed = request.node.stash.get(FAILED, False) or bool(opened.faults)
    folder = PICTURES / re.sub(r"\W+", "-", request.node.name)
    if failed:
        folder.mkdir(parents=True, exist_ok=True)
    opened.close(pictures=folder if failed else None)
    assert not opened.faults, f"{opened.faults} (pictures in {folder})"
