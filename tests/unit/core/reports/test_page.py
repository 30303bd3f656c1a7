from __future__ import annotations

import math

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.reports import (
    BLUE,
    Bar,
    bars,
    new_figure,
    number,
    percent,
    render,
    report_name,
    short,
    svg,
    write_report,
)
from aimass.core.reports.pairs import Side, bar_pair, curve_pair
from aimass.core.texts import LANGUAGES, say, speaking


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "true"),
        (0, "0"),
        (12345, "12,345"),
        (0.12345, "0.1235"),
        (1234.5678, "1,235"),
        (1.23e9 + 0.5, "1.230e+09"),
        (1e-9, "1.000e-09"),
        (math.inf, "∞"),
        (math.nan, "–"),
        (-0.5, "-0.5"),
    ],
)
def test_numbers_are_readable(value: float | None, text: str) -> None:
    assert number(value) == text


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers())
def test_every_number_has_a_short_text(value: float) -> None:
    assert 0 < len(number(value)) <= 60 or isinstance(value, int)


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (1, "100 %"), (0.5, "50.0 %"), (1e-6, "< 0.1 %"), (0.99999, "> 99.9 %")]
)
def test_a_share_never_lies_at_the_ends(share: float, text: str) -> None:
    assert percent(share) == text


def test_huge_cells_are_cut_and_their_length_is_said() -> None:
    assert short("x" * 10_000_000).endswith("… (10,000,000 characters)")
    assert len(short("x" * 10_000_000)) < 120


def test_the_page_escapes_its_title() -> None:
    html = render("base.html", title="<img src=x onerror=alert(1)>")
    assert "<img" not in html
    assert "&lt;img" in html


def test_a_name_that_the_template_misses_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("base.html")


def test_bars_escape_and_scale() -> None:
    picture = bars([Bar(0, "<nothing>"), Bar(5, "five")], title='a "title"', ends=("<a>", "b"))
    assert "&lt;nothing&gt;" in picture
    assert "<a>" not in picture
    assert picture.count("<title>") == 2


def test_no_bars_is_a_picture_too() -> None:
    assert bars([], title="empty").startswith("<svg")


def test_plots_keep_text_as_text_and_follow_the_page() -> None:
    figure, axes = new_figure(width_in=3, height_in=2)
    axes.plot([0, 1], [0, 1], color=BLUE, label="模型 <b>$x$")
    axes.legend()
    picture = svg(figure, title="ROC <curve>").__html__()
    assert "模型 &lt;b&gt;$x$" in picture
    assert "var(--blue)" in picture
    assert "ROC &lt;curve&gt;" in picture
    assert 'id="figure_1"' not in picture
    assert "<?xml" not in picture


class Memory(dict[str, str]):
    """A folder that keeps what is written."""

    def write_file(self, name: str, data: str) -> str:
        self[name] = data
        return f"memory://{name}"


def test_a_report_is_written_in_each_language_and_named_by_the_english_one() -> None:
    folder = Memory()
    uri = write_report(folder, lambda: render("base.html", title=say("Exploration")))
    assert uri == "memory://report.html"
    assert list(folder) == [report_name(language) for language in LANGUAGES] == ["report.html", "report.zh.html"]
    assert '<html lang="en">' in folder["report.html"]
    assert "<h1>Exploration</h1>" in folder["report.html"]
    assert 'href="report.zh.html"' in folder["report.html"]
    assert '<html lang="zh-CN">' in folder["report.zh.html"]
    assert "<h1>数据探索</h1>" in folder["report.zh.html"]
    assert 'href="report.html"' in folder["report.zh.html"]


def test_a_plot_is_drawn_once_and_labelled_in_each_language() -> None:
    figure, axes = new_figure(width_in=3, height_in=2)
    recall = say("recall")
    axes.set(xlabel=str(recall), ylabel="a column called recall")
    picture = svg(figure, title=say("ROC curves"), labels=[recall])
    assert ">recall</text>" in picture.__html__()
    with speaking("zh"):
        html = picture.__html__()
    assert ">召回率</text>" in html
    assert 'aria-label="ROC 曲线"' in html
    assert "a column called recall" in html


def test_pairs_escape_and_scale() -> None:
    sides = (Side("then", [0.0, 1.0]), Side("<now>", [0.5, 0.5]))
    for picture in (
        curve_pair([1e308, 1.5e308], sides, title='a "title"'),
        curve_pair([3.0, 3.0], sides, title='a "title"'),
        bar_pair(["<b>", "long " * 9], sides, title='a "title"'),
    ):
        assert "<b>" not in picture
        assert "<now>" not in picture
        assert "nan" not in picture
        assert 'aria-label="a &#34;title&#34;"' in picture


def test_no_pairs_are_pictures_too() -> None:
    nothing = (Side("then", []), Side("now", []))
    assert curve_pair([], nothing, title="empty").startswith("<svg")
    assert bar_pair([], nothing, title="empty").startswith("<svg")
