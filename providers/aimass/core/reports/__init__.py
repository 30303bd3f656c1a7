"""The one look of every report: a page that opens offline, on a phone, on paper, by day and by night.

How a stage makes its ``report.html``::

    from aimass.core.reports import BLUE, new_figure, render, svg

    figure, axes = new_figure(width_in=5, height_in=3.5)
    axes.plot(false_positive_rate, true_positive_rate, color=BLUE)
    html = render("evaluation.html", title="Evaluation", roc=svg(figure, title="ROC curve"), ...)
    output.write_file("report.html", html)

A template lives in ``reports/templates/``, starts with ``{% extends "base.html" %}`` and
``{% import "macros.html" as ui %}``, and fills the blocks ``lead`` (one sentence under the title) and ``content``
(``<section>`` blocks with an ``<h2>``). The context must hold ``title``; ``subtitle`` is optional. Macros:

- ``ui.hint(text, explanation)``: explains itself on hover
- ``ui.tiles([{label, value, hint?, tone?}])``: key figures; tone is good, warning or error
- ``ui.notes([{level, text, hint?}])``: warnings; level is error, warning, info or good
- ``ui.table(headers, rows, caption=, numeric=[indices])``
- ``ui.figure(svg, caption, explanation)``

Filters: ``number`` (12,345 / 0.1234 / 1.2e+09), ``percent``, ``size`` (bytes), ``short`` (cuts huge cells).

Every value is escaped; what `svg` and `bars` return is markup already and is not escaped twice.
Colours (`BLUE`, `ORANGE`, …, `INK`, `SOFT`, `LINE`) are names: the page decides how they look by day and by night.
"""

from __future__ import annotations

from aimass.core.reports.bars import Bar, bars
from aimass.core.reports.page import number, percent, render, short
from aimass.core.reports.plots import (
    BLUE,
    CARD,
    CYCLE,
    GREEN,
    INK,
    LINE,
    ORANGE,
    PURPLE,
    RED,
    SOFT,
    new_figure,
    svg,
)

__all__ = [
    "render",
    "svg",
    "new_figure",
    "bars",
    "Bar",
    "number",
    "percent",
    "short",
    "BLUE",
    "ORANGE",
    "GREEN",
    "RED",
    "PURPLE",
    "INK",
    "SOFT",
    "LINE",
    "CARD",
    "CYCLE",
]
