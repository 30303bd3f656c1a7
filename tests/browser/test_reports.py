"""The reports as people open them: on a desk, on a phone, by night, on paper, in both languages, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from aimass.core.reports import report_name
from aimass.core.texts import LANGUAGES
from tests.reports import CHINESE, HOSTILE, REPORTS, make_reports
from tests.searching import make_deps
from tests.services.browser import PHONE_WIDTH, Pages, axe, sideways_px

A4_WIDTH = 703  # 210 mm less the margins of 12 mm, at 96 dots per inch
every_page = pytest.mark.parametrize(
    ("report", "language"), [(report, language) for report in REPORTS for language in LANGUAGES]
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every report's folder."""
    base = tmp_path_factory.mktemp("reports")
    return make_reports(base / "pages", make_deps(base / "store"))


@every_page
def test_a_report_is_accessible_by_day_and_by_night(
    folders: dict[str, Path], report: str, language: str, pages: Pages
) -> None:
    page = pages.open(folders[report] / report_name(language))
    assert page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[language]
    assert axe(page) == []
    page.emulate_media(color_scheme="dark")
    assert axe(page) == []


@every_page
def test_a_report_fits_a_phone_and_a_sheet_of_paper(
    folders: dict[str, Path], report: str, language: str, pages: Pages
) -> None:
    file = folders[report] / report_name(language)
    assert sideways_px(pages.open(file, width=PHONE_WIDTH, is_mobile=True)) == 0
    paper = pages.open(file, width=A4_WIDTH, color_scheme="dark")
    paper.emulate_media(media="print")
    assert sideways_px(paper) == 0
    assert paper.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # What scrolls on a screen would be cut on paper.
    assert paper.evaluate("[...document.querySelectorAll('.scroll')].every(e => e.scrollWidth <= e.clientWidth + 1)")


@every_page
def test_a_report_loads_nothing_and_runs_nothing(
    folders: dict[str, Path], report: str, language: str, pages: Pages
) -> None:
    page = pages.open()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append(f"dialog: {dialog.message}") or dialog.dismiss())  # type: ignore[func-returns-value]
    file = folders[report] / report_name(language)
    page.goto(file.as_uri())
    assert asked == [file.as_uri()]
    assert page.locator("img, script, link, iframe").count() == 0
    assert HOSTILE in page.locator("body").inner_text()


@pytest.mark.parametrize("report", REPORTS)
def test_the_languages_lead_to_each_other(folders: dict[str, Path], report: str, pages: Pages) -> None:
    page = pages.open(folders[report] / report_name("en"))
    page.get_by_role("link", name="中文").click()
    assert page.url.endswith("/report.zh.html")
    page.get_by_role("link", name="English").click()
    assert page.url.endswith("/report.html")


def visible_tip(page: Page) -> str:
    """Return the explanation that is shown, wholly inside the window."""
    tip = page.locator(".tip:visible")
    assert tip.count() == 1
    box, window = tip.bounding_box(), page.viewport_size
    assert box is not None
    assert window is not None
    assert box["x"] >= 0
    assert box["y"] >= 0
    assert box["x"] + box["width"] <= window["width"]
    assert box["y"] + box["height"] <= window["height"]
    return tip.inner_text()


@pytest.mark.parametrize("report", REPORTS)
def test_figures_explain_themselves_on_hover_focus_and_tap(folders: dict[str, Path], report: str, pages: Pages) -> None:
    file = folders[report] / report_name("zh")
    page = pages.open(file)
    hints = page.locator(".hint")
    for number in {0, hints.count() // 2, hints.count() - 1}:
        hints.nth(number).hover()
        hovered = visible_tip(page)
        page.mouse.move(0, 0)
        hints.nth(number).focus()
        assert visible_tip(page) == hovered
        hints.nth(number).blur()
    phone = pages.open(file, width=PHONE_WIDTH, is_mobile=True, has_touch=True)
    phone.locator(".hint").last.tap()
    assert visible_tip(phone)


def test_chinese_names_stand_in_plots(folders: dict[str, Path], pages: Pages) -> None:
    page = pages.open(folders["exploration"] / report_name("en"))
    assert page.get_by_role("img", name=f"Histogram of {CHINESE}").count() == 1
    curves = pages.open(folders["evaluation"] / report_name("zh"))
    assert curves.locator("svg.plot text", has_text="召回率").count() >= 2
    assert curves.locator("svg.plot text", has_text=HOSTILE).count() >= 1
