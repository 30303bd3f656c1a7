"""Somebody who has read nothing trains and releases a model from the pages alone, on a table of their own.

From the login through form, run, report and approval to the released version, in both languages; what is on the screen
at each step is looked at by axe-core, and kept as a picture in reports/browser/.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.customers import TARGET, write_customers
from demo.home import USER
from demo.newcomer import Newcomer, Wish
from tests.browser.conftest import PICTURES
from tests.e2e.running import Demo
from tests.services.browser import Pages, axe, evaluated

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
STEPS = [
    "login", "overview", "upload", "form", "budget", "running", "waiting", "report", "approval", "released", "version"
]  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A product that has never been used: no pipelines, no runs, no models."""
    base = tmp_path_factory.mktemp("newcomer")
    (base / "pipelines").mkdir()
    started = Demo(base / "demo", base / "pipelines", port_offset=3000)
    up = started.call("up")
    assert up.returncode == 0, up.stdout + up.stderr
    yield started
    started.call("down")


@pytest.mark.parametrize(("language", "locale"), [("en", "en-US"), ("zh", "zh-CN")])
def test_from_the_login_to_a_released_version(
    demo: Demo, pages: Pages, tmp_path: Path, language: str, locale: str
) -> None:
    table = tmp_path / "客户流失.csv"
    write_customers(table, rows=1_200)
    pictures = PICTURES / f"newcomer-{language}"
    pictures.mkdir(parents=True, exist_ok=True)
    page = pages.open(locale=locale)
    page.set_default_timeout(60_000)
    steps: list[str] = []
    faults: list[str] = []

    def on_step(step: str) -> None:
        steps.append(step)
        page.screenshot(path=pictures / f"{len(steps):02}-{step}.png")
        # Nothing can be evaluated in a report's frame, where no script may run; test_reports.py looks at those.
        ours = [frame for frame in page.frames if "/aimass/" in frame.url and "/plugin/" not in frame.url]
        ours = [frame for frame in ours if "/report/content" not in frame.url]
        for frame in ours:
            assert evaluated(frame, "document.documentElement.lang") == language, (step, frame.url)
            faults.extend(f"{step}: {fault}" for fault in axe(frame))

    wish = Wish(table, TARGET, f"churn_{language}", trials=4)
    Newcomer(page, demo.home.airflow_url, on_step).walk(USER, demo.home.secrets["password"], wish)

    assert steps == STEPS
    assert not faults, "\n".join(faults)
    shown = page.frame_locator("iframe").locator("main").inner_text()
    assert "champion" in page.frame_locator("iframe").locator("header").inner_text()
    assert TARGET in shown or "年龄" in shown, "the feature graph does not name the columns"
    # Airflow's own page asks who is there before it shows the login.
    pages.forgive("401")
