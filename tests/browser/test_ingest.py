"""Data in from the pages alone: a connection by Airflow's own form, its test, the form of an ingest, the dataset.

One Airflow for all sources, and for each its real server; what is on the screen is kept in reports/browser/ingest/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect

from demo.home import USER
from demo.newcomer import Newcomer
from tests.browser.conftest import PICTURES
from tests.e2e.ingesting import ROWS, Ingest, running_ingest
from tests.services.browser import Pages, axe
from tests.services.places import PLACES, Place

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]
RUN_TIMEOUT_MS = 120_000


TITLES = {"mysql": "MySQL", "mongodb": "MongoDB", "kafka": "Kafka", "hdfs": "HDFS", "obs": "OBS"}
POSITIONS = {"mysql": "up to 40", "mongodb": "up to", "kafka": "orders: 40 offsets", "hdfs": "1 file", "obs": "1 file"}


class Person:
    """Somebody in front of a browser who has a server and its password.

    Parameters
    ----------
    page : playwright.sync_api.Page
        An empty page.
    url : str
        Airflow's address.
    kind : str
        Of the source.
    """

    def __init__(self, page: Page, url: str, kind: str) -> None:
        self.page = page
        self.url = url
        self.kind = kind
        self._steps = 0
        self._pictures = PICTURES / "ingest"
        self._pictures.mkdir(parents=True, exist_ok=True)

    @property
    def dialog(self) -> Locator:
        """The form on the screen."""
        return self.page.get_by_role("dialog")

    @property
    def ours(self) -> FrameLocator:
        """Our pages, inside of Airflow's."""
        return self.page.frame_locator("iframe")

    def see(self, step: str) -> None:
        """Keep a picture."""
        self._steps += 1
        self.page.screenshot(path=self._pictures / f"{self.kind}-{self._steps}-{step}.png")

    def connect(self, place: Place) -> None:
        """Make the connection, and press its Test until it is known whether the server answers."""
        self.page.goto(f"{self.url}/connections")
        self.page.get_by_role("button", name="Add Connection").click()
        self.dialog.locator("input[name=connection_id]").fill(f"aimass_{self.kind}")
        choose(self.dialog.get_by_role("combobox").first, f"AI Mass {TITLES[self.kind]}")
        for name, value in place.fields.items():
            self.dialog.locator(f"input[name={name}]").fill(str(value))
        self.see("connection")
        if place.extra:
            self.dialog.get_by_role("button", name="Extra Fields", exact=True).click()
            self.fill_in(place.extra)
            self.see("connection-extra")
        self.dialog.get_by_role("button", name="Save").click()
        test = self.page.get_by_role("row").filter(has_text=f"aimass_{self.kind}").get_by_label("Test Connection")
        with self.page.expect_response("**/connections/test") as answer:
            test.click()
        told = answer.value.json()
        assert told["status"], told
        self.see("tested")

    def fill_in(self, fields: Mapping[str, Any]) -> None:
        """Fill in fields that we describe, by the elements that Airflow makes of them."""
        for name, value in fields.items():
            field = self.dialog.locator(f"#element_{name}")
            text = "\n".join(value) if isinstance(value, list) else str(value)
            field.wait_for()
            chooser = field.get_by_role("combobox")
            if chooser.count():
                choose(chooser, text)
            else:
                field.fill(text)

    def open_form(self) -> None:
        """Open the form of the ingest."""
        self.page.goto(f"{self.url}/dags/aimass_ingest_{self.kind}")
        self.page.get_by_role("button", name="Trigger").first.click()
        # What has to be filled in is there without a further click.
        self.dialog.locator("#element_name").wait_for()

    def trigger(self) -> None:
        """Press the button."""
        self.dialog.get_by_test_id("trigger-dag-submit").click()

    def follow(self) -> None:
        """Watch the run until it has succeeded."""
        self.page.wait_for_url("**/runs/**")
        expect(self.page.get_by_text("Success", exact=True).first).to_be_visible(timeout=RUN_TIMEOUT_MS)
        self.see("success")

    def find_dataset(self) -> None:
        """Go from the menu to the dataset."""
        self.page.locator("a[href$='/plugin/aimass']").first.click()
        self.ours.locator(f"a[href*='/pipelines/aimass_ingest_{self.kind}']").first.click()
        self.ours.locator("a[href*='/tasks/ingest/dataset']").first.click()
        self.ours.locator("dl").first.wait_for()
        self.see("dataset")


def choose(chooser: Locator, value: str) -> None:
    """Choose an entry of a list by its text."""
    chooser.fill(value)
    chooser.press("Enter")


@pytest.fixture(scope="module")
def ingest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    with running_ingest(tmp_path_factory.mktemp("ingest")) as started:
        yield started


def logged_in(ingest: Ingest, pages: Pages, kind: str) -> Person:
    """Return a person who has just logged in; Airflow's own page asks who is there before it shows the login."""
    page = pages.open(locale="en-US", height=1600)
    page.set_default_timeout(30_000)
    Newcomer(page, ingest.airflow.url).log_in(USER, ingest.home.secrets["password"])
    pages.forgive("401")
    return Person(page, ingest.airflow.url, kind)


@pytest.mark.parametrize("kind", PLACES)
def test_from_a_connection_to_the_dataset(ingest: Ingest, pages: Pages, tmp_path: Path, kind: str) -> None:
    person = logged_in(ingest, pages, kind)
    with PLACES[kind](tmp_path) as place:
        place.add(ROWS)
        person.connect(place)
        person.open_form()
        person.fill_in({"name": "orders", "mode": "incremental", **place.source})
        person.see("form")
        person.trigger()
        person.follow()
    person.find_dataset()
    facts = person.ours.locator("main")
    expect(facts).to_contain_text(f"{len(ROWS)}")
    expect(facts.locator("dt", has_text="Position").locator("+ dd")).to_contain_text(POSITIONS[kind])
    (run,) = ingest.runs(f"aimass_ingest_{kind}")
    assert ingest.rows(ingest.airflow.result(f"aimass_ingest_{kind}", run["dag_run_id"], "ingest")) == ROWS
    (frame,) = (frame for frame in person.page.frames if "/dataset" in frame.url and "/plugin/" not in frame.url)
    assert not axe(frame)


def test_what_is_wrong_is_said_in_the_dialogue(ingest: Ingest, pages: Pages) -> None:
    person = logged_in(ingest, pages, "files")
    person.open_form()
    person.fill_in({"name": "orders", "uri": "/etc/passwd"})
    person.trigger()
    expect(person.dialog.get_by_text("allowed_roots")).to_be_visible()
    person.see("refused")
    assert not ingest.runs("aimass_ingest_files")
    pages.forgive("422")
