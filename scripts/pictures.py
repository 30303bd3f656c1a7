"""Take the documentation's pictures from the running product: `make pictures`, once `make up` has started it.

Walks the newcomer's way in each language, on a table of its own, and writes docs/pictures/<language>/<step>.png. Where
the demo has told its story, the page that shows it is taken, too; ``--only monitor`` takes that one alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from demo.customers import TARGET, write_customers
from demo.home import REPOSITORY, USER, Home
from demo.newcomer import Newcomer, Wish
from demo.services import STORY, Services
from demo.story import MODEL

PICTURES = REPOSITORY / "docs" / "pictures"
LOCALES = {"en": "en-US", "zh": "zh-CN"}
SIZE = {"width": 1200, "height": 820}


def main() -> int:
    """Take all pictures; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / ".aimass", help="the demo's folder")
    parser.add_argument("--browser", default="/usr/bin/chromium", help="path of Chromium (default: %(default)s)")
    parser.add_argument("--only", choices=("walk", "monitor"), help="take these pictures only")
    options = parser.parse_args()
    home = Home(options.folder.resolve())
    if not home.ports():
        print("The product does not run; `make up` starts it.", file=sys.stderr)
        return 1
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "客户流失.csv"
        write_customers(table)
        browser = playwright.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
        for language in LOCALES:
            if options.only != "monitor":
                _walk(browser, home, table, language)
            if options.only != "walk" and Services(home).log(STORY).exists():
                _monitor(browser, home, language)
        browser.close()
    return 0


def _walk(browser: Browser, home: Home, table: Path, language: str) -> None:
    target = PICTURES / language
    target.mkdir(parents=True, exist_ok=True)
    page = browser.new_context(viewport=SIZE, locale=LOCALES[language]).new_page()

    def on_step(step: str) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=target / f"{step}.png", animations="disabled")
        print(f"{language}/{step}.png", flush=True)

    # A name of its own, so that the pictures show a first version.
    wish = Wish(table, TARGET, f"churn_{language}_{time.strftime('%H%M%S')}", trials=8)
    Newcomer(page, home.airflow_url, on_step).walk(USER, home.secrets["password"], wish)
    page.context.close()


def _monitor(browser: Browser, home: Home, language: str) -> None:
    page = browser.new_context(viewport=SIZE, locale=LOCALES[language]).new_page()
    Newcomer(page, home.airflow_url).log_in(USER, home.secrets["password"])
    page.goto(f"{home.airflow_url}/aimass/models/{MODEL}/monitor?lang={language}")
    page.screenshot(path=PICTURES / language / "monitor.png", full_page=True, animations="disabled")
    print(f"{language}/monitor.png", flush=True)
    page.context.close()


if __name__ == "__main__":
    sys.exit(main())
