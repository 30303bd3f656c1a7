"""The loop closes by itself: a better version takes over, its feed goes wrong, and the version before comes back.

The demo tells its story to its end, when three months of flights have been asked about; then somebody looks at the
pages. What is on the screen is looked at by axe-core, and kept as pictures in reports/browser/loop-….
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Page, expect

from aimass.core.monitoring.log import PREDICTIONS, REQUEST_ID
from demo.home import USER
from demo.newcomer import Newcomer
from demo.services import STORY, Services
from demo.story import MODEL
from demo.traffic import PIPELINE
from tests.browser.conftest import PICTURES
from tests.e2e.running import Demo
from tests.services.browser import Pages, axe, sideways_px

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
STORY_TIMEOUT_S = 2400.0
REPLAY_TIMEOUT_S = 120.0
END = "rests until you unpause it"
# Every second flight of April to June.
FLIGHTS = 40_000
POLL_S = 2.0


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo whose story has been told."""
    base = tmp_path_factory.mktemp("loop")
    (base / "pipelines").mkdir()
    (base / "pipelines" / PIPELINE.name).write_text(_quicker(PIPELINE.read_text()))
    demo = Demo(base / "demo", base / "pipelines", port_offset=2500)
    try:
        ran = demo.call("run", timeout_s=1500)
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr
        _wait_for_the_end(demo)
        yield demo
    finally:
        demo.call("down")


def test_the_server_has_gone_from_one_to_two_and_back(told: Demo) -> None:
    lines = _story(told)
    assert "the server has switched to version 2" in lines
    assert re.search(r"window .*version 2.*AUC 0\.[89]\d\d", lines)
    assert "version 1 answers again" in lines
    assert re.search(r"window .*version 1.*AUC 0\.[67]\d\d.*\n(?:.*\n)*.*recovered", lines)
    (failed,) = {int(count) for count in re.findall(r"version 1 answers again.*, (\d+) failed", lines)}
    assert failed == 0


def test_three_months_of_flights_are_asked_about(told: Demo) -> None:
    (ended,) = re.findall(r"the story has ended: (.*)", _story(told))
    answers = {
        version: int(count.replace(",", "")) for count, version in re.findall(r"([\d,]+) by version (\d)", ended)
    }
    assert answers.keys() == {"1", "2"}
    assert sum(answers.values()) > FLIGHTS
    assert ended.endswith(" 0 failed")


def test_a_logged_answer_has_the_same_bits_again(told: Demo) -> None:
    segment = min(told.home.store.glob(f"*/{PREDICTIONS}/{MODEL}/*/part-*.parquet"))
    request = pl.read_parquet(segment, columns=[REQUEST_ID], n_rows=1).item()
    command = [sys.executable, "-m", "airflow", "aimass", "replay", request, "--model", MODEL]
    done = subprocess.run(
        command, env=told.home.environment(), capture_output=True, text=True, timeout=REPLAY_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the answer has the same bits" in done.stdout


@pytest.mark.parametrize(("language", "locale"), [("en", "en-US"), ("zh", "zh-CN")])
def test_the_page_shows_what_happened(told: Demo, pages: Pages, language: str, locale: str) -> None:
    page = _logged_in(told, pages, locale)
    page.goto(f"{told.home.airflow_url}/aimass/models/{MODEL}/monitor?lang={language}")
    expect(page.locator("tr.rolled_back")).to_have_count(1)
    expect(page.locator("tr.rolled_back")).to_contain_text(re.compile("champion(: |：)2 → 1"))
    for rule in ("inputs_moved", "worse_than_guessing"):
        expect(page.locator("tr.fired").filter(has_text=rule).first).to_be_visible()
    assert page.locator("svg.curves").count() >= 8
    assert page.locator("svg.curves .mark").count() >= 2
    assert page.locator(".heat .hot").count() >= 2
    _looked_at(page, f"loop-{language}", "monitor")

    page.goto(f"{told.home.airflow_url}/aimass/models/{MODEL}/monitor/live?lang={language}")
    expect(page.locator("tr.chosen")).to_contain_text("v1")
    # The reader has asked for a page that renews itself, and it shows how to stop that.
    _looked_at(page, f"loop-{language}", "live", agreed="meta-refresh")
    pages.forgive("401")


def test_the_evidence_is_behind_the_rollback(told: Demo, pages: Pages) -> None:
    page = _logged_in(told, pages, "en-US")
    page.goto(f"{told.home.airflow_url}/aimass/models/{MODEL}/monitor")
    page.locator("tr.rolled_back a", has_text="Evidence").click()
    expect(page.frame_locator("iframe.report").locator("body")).to_contain_text(MODEL)
    page.screenshot(path=PICTURES / "loop-en" / "evidence.png", full_page=True)
    pages.forgive("401")


def test_on_a_phone_nothing_scrolls_sideways(told: Demo, pages: Pages) -> None:
    page = _logged_in(told, pages, "en-US", width=390)
    page.goto(f"{told.home.airflow_url}/aimass/models/{MODEL}/monitor")
    assert sideways_px(page) == 0
    pages.forgive("401")


def _quicker(pipeline: str) -> str:
    """Return the pipeline with one small model and no search: what it makes is not what is looked at here."""
    model = "train: {seed: 42, models: [{type: lightgbm, n_estimators: 60, learning_rate: 0.1}]}\n\n"
    text = re.sub(r"^train:\n.*?(?=^evaluate:)", model, pipeline, flags=re.MULTILINE | re.DOTALL)
    optimize = "optimize: {rounds: 1, trials: 2, workers: 1, seed: 42}\n\n"
    return re.sub(r"^optimize:\n.*?(?=^release:)", optimize, text, flags=re.MULTILINE | re.DOTALL)


def _wait_for_the_end(demo: Demo) -> None:
    services = Services(demo.home)
    deadline = time.monotonic() + STORY_TIMEOUT_S
    while END not in _story(demo):
        # It may have ended between the two looks.
        assert STORY in services.running() or END in _story(demo), _story(demo)
        assert time.monotonic() < deadline, _story(demo)
        time.sleep(POLL_S)


def _story(demo: Demo) -> str:
    return Services(demo.home).log(STORY).read_text()


def _logged_in(demo: Demo, pages: Pages, locale: str, *, width: int = 1280) -> Page:
    page = pages.open(locale=locale, width=width)
    page.set_default_timeout(60_000)
    Newcomer(page, demo.home.airflow_url).log_in(USER, demo.home.secrets["password"])
    return page


def _looked_at(page: Page, folder: str, name: str, *, agreed: str | None = None) -> None:
    """Keep a picture of the page, and look at it as those do who cannot see."""
    (PICTURES / folder).mkdir(parents=True, exist_ok=True)
    page.screenshot(path=Path(PICTURES / folder / f"{name}.png"), full_page=True)
    faults = [fault for fault in axe(page) if agreed is None or not fault.startswith(agreed)]
    assert not faults, "\n".join(faults)
