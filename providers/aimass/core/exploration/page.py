"""From the exploration to what its page shows: everything is put into words and small pictures here."""

from __future__ import annotations

from typing import Any

from aimass.core.exploration import findings
from aimass.core.exploration.cards import anchor, card, line
from aimass.core.exploration.profile import Correlations, Exploration
from aimass.core.reports import number, percent, render, short
from aimass.core.texts import say

DETAILED_COLUMNS = 200
HEATED_COLUMNS = 28
STRONGEST = 3
SHOWN_LINKS = 20
SHOWN_PREDICTORS = 15
MEASURES = {**findings.MEASURES, "correlation_ratio": say("correlation ratio")}


def exploration_page(found: Exploration) -> str:
    """Return ``report.html``; columns beyond `DETAILED_COLUMNS` get one line each, suspicious ones first a card."""
    urgent = {finding.column for finding in found.findings if finding.level != "info"}
    ranked = sorted(found.columns, key=lambda column: (column.role != "target", column.name not in urgent))
    detailed = {column.name for column in ranked[:DETAILED_COLUMNS]}
    return render(
        "exploration.html",
        title=say("Exploration"),
        subtitle=found.target.name if found.target else "",
        found=found,
        suspects=[_suspect(name, found) for name in found.suspects],
        findings=_findings(found, detailed),
        overview=_overview(found),
        balance=_balance(found),
        predictors=_predictors(found),
        heat=_heat(found.correlations, found),
        links=[
            [short(link.left, 48), short(link.right, 48), MEASURES[link.measure], f"{link.value:.2f}"]
            for link in found.associations[:SHOWN_LINKS]
        ],
        cards=[card(column, found) for column in found.columns if column.name in detailed],
        lines=[line(column) for column in found.columns if column.name not in detailed],
    )


def _suspect(name: str, found: Exploration) -> dict[str, Any]:
    evidence = [suspect.said or suspect.evidence for suspect in found.leakage if suspect.column == name]
    return {"name": short(name), "evidence": [short(text, 600) for text in evidence]}


def _findings(found: Exploration, detailed: set[str]) -> list[dict[str, Any]]:
    return [
        {
            "level": finding.level,
            "text": finding.said or finding.text,
            "href": f"#{anchor(finding.column, found)}" if finding.column in detailed else "",
        }
        for finding in found.findings
        if finding.code != "leakage"
    ]


def _overview(found: Exploration) -> list[dict[str, Any]]:
    cells = found.rows * len(found.columns)
    missing = sum(column.missing + column.nan for column in found.columns)
    kinds = {
        "numeric": (say("Numbers"), say("Columns of numbers.")),
        "category": (say("Categories"), say("Columns of texts or classes.")),
        "temporal": (say("Times"), say("Columns of dates, times and durations.")),
    }
    sampled = found.sample_rows < found.rows
    return [
        {
            "label": say("Rows"),
            "value": number(found.rows),
            "hint": say("Rows of the training part; no other part was read."),
        },
        {
            "label": say("Columns"),
            "value": number(len(found.columns)),
            "hint": say("All columns, with target, ids and time."),
        },
        *(
            {"label": label, "value": number(sum(column.kind == kind for column in found.columns)), "hint": hint}
            for kind, (label, hint) in kinds.items()
        ),
        {
            "label": say("Missing cells"),
            "value": percent(missing / cells if cells else 0),
            "hint": say("Null or NaN, as a share of all cells."),
        },
        {
            "label": say("Sample"),
            "value": number(found.sample_rows),
            "hint": say("Evenly spaced rows behind quantiles, correlations and links to the target.")
            if sampled
            else say("The part is small: every figure comes from all rows."),
        },
    ]


def _balance(found: Exploration) -> list[dict[str, Any]]:
    classes = found.target.classes if found.target else []
    return [
        {
            "label": short(item.value),
            "count": item.count,
            "share": item.count / found.rows,
            "width": 100 * item.count / found.rows,
            "tone": "orange" if found.target and item.value == found.target.positive else "blue",
        }
        for item in classes
    ]


def _predictors(found: Exploration) -> list[list[str]]:
    linked = [(column, column.label) for column in found.columns if column.label is not None]
    linked.sort(key=lambda item: -item[1].auc)
    return [
        [short(column.name, 48), f"{label.auc:.3f} ± {2 * label.auc_error:.3f}", percent(label.information)]
        for column, label in linked[:SHOWN_PREDICTORS]
    ]


def _heat(matrices: Correlations, found: Exploration) -> dict[str, Any]:
    """Return the matrix of rank correlations of the columns that are most telling, as rows of cells."""
    telling = {column.name: column.label.auc for column in found.columns if column.label is not None}
    ranked = sorted(range(len(matrices.columns)), key=lambda index: -telling.get(matrices.columns[index], 1))
    kept = sorted(ranked[:HEATED_COLUMNS])
    names = {index: short(matrices.columns[index], 24) for index in kept}
    rows = []
    for row in kept:
        values = {names[column]: matrices.spearman[row][column] for column in kept}
        rows.append(
            {
                "name": names[row],
                "strongest": _strongest({name: value for name, value in values.items() if name != names[row]}),
                "cells": [_cell(names[row], names[column], row, column, matrices) for column in kept],
            }
        )
    return {"names": list(names.values()), "rows": rows, "left_out": len(matrices.columns) - len(kept)}


def _cell(left: str, right: str, row: int, column: int, matrices: Correlations) -> dict[str, Any]:
    ranked, linear = matrices.spearman[row][column], matrices.pearson[row][column]
    figures = (
        "–" if ranked is None or linear is None else say("{rank:.2f} (linear {linear:.2f})", rank=ranked, linear=linear)
    )
    return {"value": ranked, "title": f"{left} × {right}: {figures}"}


def _strongest(values: dict[str, float | None]) -> str:
    """Return a row's strongest correlations in words, for those who cannot hover over its cells."""
    known = sorted(
        ((name, value) for name, value in values.items() if value is not None), key=lambda item: -abs(item[1])
    )
    return " · ".join(f"{name} {value:.2f}" for name, value in known[:STRONGEST])
