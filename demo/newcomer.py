"""The newcomer's walk, in a browser: from the login through form, run, report and approval to the released version.

The tests walk it to see that it works, `scripts/pictures.py` to take the pictures of the documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page

RUN_TIMEOUT_MS = 420_000


@dataclass(frozen=True)
class Wish:
    """What the newcomer brings.

    Attributes
    ----------
    file : Path
        A table of their own.
    target : str
        The column to be predicted.
    name : str
        How the model is to be called.
    trials : int
        How many settings are tried.
    """

    file: Path
    target: str
    name: str
    trials: int = 4


class Newcomer:
    """Somebody in front of a browser who has read nothing.

    Parameters
    ----------
    page : playwright.sync_api.Page
        An empty page; its locale decides the language of Airflow, and so of ours.
    url : str
        Airflow's address.
    on_step : callable
        Told the name of each step once it is on the screen.
    """

    def __init__(self, page: Page, url: str, on_step: Callable[[str], None] = lambda _: None) -> None:
        self.page = page
        self.url = url
        self._on_step = on_step

    @property
    def pages(self) -> FrameLocator:
        """Our pages, inside of Airflow's."""
        return self.page.frame_locator("iframe")

    def walk(self, user: str, password: str, wish: Wish) -> None:
        """Go all the way."""
        self.log_in(user, password)
        self.open_overview()
        self.upload(wish)
        self.fill_in(wish)
        self.wait_for_approval()
        self.read_report()
        self.approve()
        self.find_version(wish)

    def log_in(self, user: str, password: str) -> None:
        """Log in to Airflow."""
        self.page.goto(self.url)
        self.page.fill("input[name=username]", user)
        self.page.fill("input[name=password]", password)
        self._on_step("login")
        self.page.click("button[type=submit]")
        self.page.locator("nav a[href$='/plugin/aimass'], a[href$='/plugin/aimass']").first.wait_for()

    def open_overview(self) -> None:
        """Find us in Airflow's menu."""
        self.page.locator("a[href$='/plugin/aimass']").first.click()
        self.pages.locator("h1").wait_for()
        self._on_step("overview")

    def upload(self, wish: Wish) -> None:
        """Give the table."""
        self.pages.locator(".bar a.button").click()
        self.pages.locator("#upload").set_input_files(wish.file)
        self._on_step("upload")
        self.pages.locator("form button").first.click()
        self.pages.locator("#target").wait_for()

    def fill_in(self, wish: Wish) -> None:
        """Say what is to be predicted, and start."""
        target = self.pages.locator("#target")
        options = target.locator("option").all_inner_texts()
        target.select_option(label=next(text for text in options if text.startswith(f"{wish.target} (")))
        self.pages.locator("#name").fill(wish.name)
        self._on_step("form")
        self.pages.locator("form[method=post] details summary").click()
        self.pages.locator("#trials").fill(str(wish.trials))
        self._on_step("budget")
        self.pages.locator("form[method=post] button").click()
        self.pages.locator(".run-picker").wait_for()
        self._on_step("running")

    def wait_for_approval(self) -> None:
        """Watch the run until somebody is asked; the page renews itself."""
        self.pages.locator("a[href*='required_actions']").first.wait_for(timeout=RUN_TIMEOUT_MS)
        self._on_step("waiting")

    def read_report(self) -> None:
        """Read the evaluation on the test part, and come back."""
        self.pages.locator("a[href*='/tasks/evaluate_best/report']").first.click()
        self.pages.locator("iframe.report").wait_for()
        self.pages.frame_locator("iframe.report").locator("h1").wait_for()
        self._on_step("report")
        self.pages.locator(".crumbs a").last.click()

    def approve(self) -> None:
        """Answer in Airflow's own page."""
        self.pages.locator("a[href*='required_actions']").first.click()
        approve = self.page.get_by_role("button", name="Approve")
        approve.first.wait_for()
        self._on_step("approval")
        approve.first.click()

    def find_version(self, wish: Wish) -> None:
        """Follow the release to its end, and look at the version."""
        self.page.locator("a[href$='/plugin/aimass']").first.click()
        self.pages.locator("a[href*='/pipelines/aimass_train_file']").first.click()
        # The page renews itself while the run goes on.
        self.pages.locator(".run-picker a[aria-current='true'] .state.success").first.wait_for(timeout=RUN_TIMEOUT_MS)
        self._on_step("released")
        self.pages.locator(".bar a[href$='/models']").click()
        self.pages.locator(f"a[href*='/models/{wish.name}']").first.click()
        self.pages.locator("h1", has_text=wish.name).wait_for()
        self._on_step("version")
