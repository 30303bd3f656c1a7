"""What the other tests of this folder stand on: faults are noticed, and Chinese text has glyphs."""

from __future__ import annotations

from pathlib import Path

from tests.services.browser import PHONE_WIDTH, Pages, axe, evaluated, sideways_px

PAGE = "<!doctype html><html lang=en><title>t</title><main><h1>h</h1>{}</main>"


def test_errors_on_the_console_and_uncaught_ones_are_kept(pages: Pages) -> None:
    page = pages.open()
    page.set_content(PAGE.format("<script>console.error('told'); throw new Error('thrown')</script>"))
    assert len(pages.faults) == 2
    pages.forgive("told")
    pages.forgive("thrown")
    assert pages.faults == []


def test_axe_tells_good_pages_from_bad_ones(pages: Pages) -> None:
    page = pages.open()
    page.set_content(PAGE.format("fine"))
    assert axe(page) == []
    page.set_content(PAGE.format('<img src="data:," ><p style="color:#ddd;background:#fff">pale</p>'))
    assert {finding.partition(" ")[0] for finding in axe(page)} == {"image-alt", "color-contrast"}


def test_a_page_that_renews_itself_is_looked_at_again(pages: Pages, tmp_path: Path) -> None:
    # The first two times it is there for less time than it takes to look at it.
    renewal = "if (++sessionStorage.shown <= 2) setTimeout(() => location.reload(), 20)"
    file = tmp_path / "page.html"
    file.write_text(PAGE.format(f"<script>sessionStorage.shown ??= 0; {renewal}</script>{'<p>text</p>' * 2_000}"))
    page = pages.open(file)
    assert axe(page) == []
    assert evaluated(page, "Number(sessionStorage.shown)") == 3


def test_a_page_wider_than_its_window_is_noticed(pages: Pages) -> None:
    page = pages.open(width=PHONE_WIDTH)
    page.set_content(PAGE.format('<div style="width: 500px">wide</div>'))
    assert sideways_px(page) > 100


def test_chinese_text_has_glyphs(pages: Pages) -> None:
    page = pages.open()
    page.set_content(PAGE.format("<i>航</i><i>班</i>"))
    # Without a font both would be drawn as the same empty box.
    first, second = (page.locator("i").nth(index).screenshot() for index in (0, 1))
    assert first != second
