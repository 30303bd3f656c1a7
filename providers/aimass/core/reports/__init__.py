"""The one look of every report: a page that opens offline, on a phone, on paper, by day and by night.

How a stage makes its ``report.html``, and beside it ``report.zh.html``::

    from aimass.core.reports import BLUE, new_figure, render, svg, write_report
    from aimass.core.texts import say

    rate = say("false positive rate")
    figure, axes = new_figure(width_in=5, height_in=3.5)
    axes.plot(false_positive_rate, true_positive_rate, color=BLUE)
    axes.set(xlabel=str(rate))
    roc = svg(figure, title=say("ROC curve"), labels=[rate])
    # Called once for each language; the plot is drawn once.
    report = write_report(output, lambda: render("evaluation.html", title=say("Evaluation"), roc=roc, ...))

A template lives in ``reports/templates/``, starts with ``{% extends "base.html" %}`` and
``{% import "macros.html" as ui %}``, and fills the blocks ``lead`` (one sentence under the title) and ``content``
(``<section>`` blocks with an ``<h2>``; ``class="long"`` where paper may break it). The context must hold ``title``;
``subtitle`` is optional. Its sentences stand in ``_("…")`` or ``{% trans %}``. Macros:

- ``ui.hint(text, explanation)``: explains itself on hover, focus and tap
- ``ui.tiles([{label, value, hint, tone?}])``: key figures; tone is good, warning or error
- ``ui.notes([{level, text, hint?, href?}])``: warnings; level is error, warning, info or good
- ``ui.table(caption, headers, rows, numeric=[indices])``, ``{% call ui.frame(caption) %}`` around a table of one's own
- ``ui.meters([{label, share, width, count?, tone?}])``: bars of shares
- ``ui.figure(svg, caption, explanation)``

Filters: ``number`` (12,345 / 0.1234 / 1.2e+09), ``percent``, ``size`` (bytes), ``short`` (cuts huge cells).

Every sentence is translated in ``reports/locale/<language>/LC_MESSAGES/aimass.po``; a test names what is missing.
Every value is escaped; what `svg` and `bars` return is markup already and is not escaped twice.
Colours (`BLUE`, `ORANGE`, …, `INK`, `SOFT`, `LINE`) are names: the page decides how they look by day and by night.
"""

from __future__ import annotations

from aimass.core.reports.bars import Bar, bars
from aimass.core.reports.page import PART_NAMES, number, percent, render, report_name, short, size, write_report
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
    Plot,
    new_figure,
    svg,
)

__all__ = [
    "render",
    "write_report",
    "report_name",
    "svg",
    "Plot",
    "new_figure",
    "bars",
    "Bar",
    "number",
    "percent",
    "short",
    "size",
    "PART_NAMES",
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
