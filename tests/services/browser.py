"""The machine's own Chromium, headless, driven by Playwright: what it complains about is kept and fails the test."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Frame, Page, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE_WIDTH = 390
SEVERE = ("serious", "critical")
ATTEMPTS = 10


def chromium_path() -> str:
    """Return the browser's path, or skip the test: in CI such a skip fails (see tests/conftest.py)."""
    named = os.environ.get("AIMASS_CHROMIUM")
    found = next(filter(None, map(shutil.which, [named] if named else NAMES)), None)
    if found is None:
        pytest.skip(f"no {named or 'Chromium'} on this machine: `make env-browser` says what to install")
    return found


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Yield a headless Chromium."""
    path = chromium_path()
    with sync_playwright() as playwright:
        browser = _launch(playwright, path)
        print(f"browser: Chromium {browser.version} ({path})")
        yield browser
        browser.close()


def _launch(playwright: Playwright, path: str) -> Browser:
    # Chromium's own sandbox does not run as root, and small containers have a small /dev/shm.
    flags = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    return playwright.chromium.launch(executable_path=path, args=flags)


class Pages:
    """Opens pages, each in a window of its own, and keeps what goes wrong in them.

    Attributes
    ----------
    faults : list of str
        Errors on the console and uncaught ones, as they came. The fixture `pages` fails a test that leaves any.
    """

    def __init__(self, browser: Browser) -> None:
        self.faults: list[str] = []
        self._browser = browser
        self._opened: list[Page] = []

    def open(self, url: str | Path | None = None, *, width: int = 1280, height: int = 900, **context: Any) -> Page:
        """Return a new page, at `url` where one is given.

        Parameters
        ----------
        url : str or Path, optional
            An address, or a file of this machine.
        width, height : int
            Of the window, in CSS pixels.
        **context
            For Playwright's ``new_context``: ``color_scheme``, ``locale``, ``storage_state``, ``is_mobile``, …
        """
        window = self._browser.new_context(viewport={"width": width, "height": height}, **context)
        page = window.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        self._opened.append(page)
        if url is not None:
            page.goto(url.as_uri() if isinstance(url, Path) else url)
        return page

    def forgive(self, text: str) -> None:
        """Drop the faults that contain `text`; there must be one (a page that is refused says so on the console)."""
        kept = [fault for fault in self.faults if text not in fault]
        assert len(kept) < len(self.faults), f"no fault says {text!r}: {self.faults}"
        self.faults[:] = kept

    def close(self, *, pictures: Path | None = None) -> None:
        """Close all windows, after a picture of each into the folder `pictures`."""
        for number, page in enumerate(self._opened):
            if pictures is not None:
                page.screenshot(path=pictures / f"{number}.png", full_page=True)
            page.context.close()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(f"console: {message.text} ({message.location.get('url', '')})")


def axe(page: Page | Frame) -> list[str]:
    """Return what axe-core finds serious or critical in `page` (frames inside it are left out: ask them one by one)."""
    from axe_playwright_python.base import AXE_SCRIPT

    found = evaluated(page, f"{AXE_SCRIPT}\n;axe.run({{resultTypes: ['violations'], iframes: false}})")
    return [
        f"{rule['id']} ({rule['impact']}) at {node['target']}: {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in SEVERE
        for node in rule["nodes"]
    ]


def sideways_px(page: Page | Frame) -> int:
    """Return by how many pixels the page is wider than its window: a phone's reader would have to scroll sideways."""
    root = "document.documentElement"
    return int(evaluated(page, f"{root}.scrollWidth - {root}.clientWidth"))


def evaluated(page: Page | Frame, script: str) -> Any:
    """Return what a script gives in `page`; in one that renews itself meanwhile, it is run again."""
    for _ in range(ATTEMPTS - 1):
        try:
            return page.evaluate(script)
        except Error as error:
            if "most likely because of a navigation" not in error.message:
                raise
            page.wait_for_load_state()
    return page.evaluate(script)
