"""From the exploration to what its page shows: everything is put into words and small pictures here."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from aimass.core.exploration.profile import ColumnProfile, Correlations, Exploration, Histogram
from aimass.core.reports import Bar, bars, number, percent, render, short

DETAILED_COLUMNS = 200
SHOWN_VALUES = 8
HEATED_COLUMNS = 28
SHOWN_LINKS = 20
SHOWN_PREDICTORS = 15
TICKS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
MEASURES = {
    "pearson": "Pearson",
    "spearman": "Spearman",
    "cramers_v": "Cramér's V",
    "correlation_ratio": "correlation ratio",
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def exploration_page(found: Exploration) -> str:
    """Return ``report.html``; columns beyond `DETAILED_COLUMNS` get one line each, suspicious ones first a card."""
    urgent = {finding.column for finding in found.findings if finding.level != "info"}
    ranked = sorted(found.columns, key=lambda column: (column.role != "target", column.name not in urgent))
    detailed = {column.name for column in ranked[:DETAILED_COLUMNS]}
    cards = [_card(column, found) for column in found.columns if column.name in detailed]
    return render(
        "exploration.html",
        title="Exploration",
        subtitle=found.target.name if found.target else "",
        found=found,
        suspects=[_suspect(name, found) for name in found.suspects],
        findings=[finding for finding in found.findings if finding.code != "leakage"],
        overview=_overview(found),
        balance=_balance(found),
        predictors=_predictors(found),
        heat=_heat(found.correlations, found),
        links=[
            [link.left, link.right, MEASURES[link.measure], f"{link.value:.2f}"]
            for link in found.associations[:SHOWN_LINKS]
        ],
        cards=cards,
        lines=[_line(column) for column in found.columns if column.name not in detailed],
    )


def readable(value: float | None, column: ColumnProfile) -> str:
    """Return a number of a column as people read it: temporal ones as dates and times."""
    if value is None or not math.isfinite(value):
        return number(None)
    if column.kind != "temporal":
        return number(value)
    unit = column.type.partition("[")[2].rstrip("]").split(",")[0]
    seconds = value * 86_400 if unit == "day" else value / TICKS_PER_SECOND.get(unit, 1)
    if column.type.startswith("duration"):
        return str(timedelta(seconds=round(seconds)))
    try:
        moment = EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return number(value)
    if column.type.startswith("date"):
        return moment.date().isoformat()
    if column.type.startswith("time") and not column.type.startswith("timestamp"):
        return moment.time().isoformat("seconds")
    return moment.strftime("%Y-%m-%d %H:%M")


def _suspect(name: str, found: Exploration) -> dict[str, Any]:
    evidence = [suspect.evidence for suspect in found.leakage if suspect.column == name]
    return {"name": short(name), "evidence": [short(text, 600) for text in evidence]}


def _overview(found: Exploration) -> list[dict[str, Any]]:
    cells = found.rows * len(found.columns)
    missing = sum(column.missing + column.nan for column in found.columns)
    kinds = {kind: sum(column.kind == kind for column in found.columns) for kind in ("numeric", "category", "temporal")}
    sampled = found.sample_rows < found.rows
    return [
        {"label": "Rows", "value": number(found.rows), "hint": "Rows of the training part; no other part was read."},
        {"label": "Columns", "value": number(len(found.columns)), "hint": "All columns, with target, ids and time."},
        *({"label": kind.capitalize(), "value": number(count)} for kind, count in kinds.items()),
        {"label": "Missing cells", "value": percent(missing / cells if cells else 0), "hint": "Null or NaN."},
        {
            "label": "Sample",
            "value": number(found.sample_rows),
            "hint": "Evenly spaced rows behind quantiles, correlations and links to the target."
            if sampled
            else "The part is small: every figure comes from all rows.",
        },
    ]


def _balance(found: Exploration) -> list[dict[str, Any]]:
    classes = found.target.classes if found.target else []
    return [
        {
            "label": short(item.value),
            "count": item.count,
            "share": item.count / found.rows,
            "tone": "orange" if found.target and item.value == found.target.positive else "blue",
        }
        for item in classes
    ]


def _predictors(found: Exploration) -> list[list[str]]:
    linked = [(column, column.label) for column in found.columns if column.label is not None]
    linked.sort(key=lambda item: -item[1].auc)
    return [
        [short(column.name), f"{label.auc:.3f} ± {2 * label.auc_error:.3f}", percent(label.information)]
        for column, label in linked[:SHOWN_PREDICTORS]
    ]


def _heat(matrices: Correlations, found: Exploration) -> dict[str, Any]:
    """Return the matrix of rank correlations of the columns that are most telling, as rows of cells."""
    telling = {column.name: column.label.auc for column in found.columns if column.label is not None}
    ranked = sorted(range(len(matrices.columns)), key=lambda index: -telling.get(matrices.columns[index], 1))
    kept = sorted(ranked[:HEATED_COLUMNS])
    names = [matrices.columns[index] for index in kept]
    rows = []
    for row in kept:
        cells = []
        for column in kept:
            ranked_value, linear = matrices.spearman[row][column], matrices.pearson[row][column]
            text = (
                "undefined" if ranked_value is None or linear is None else f"{ranked_value:.2f} (linear {linear:.2f})"
            )
            title = f"{short(matrices.columns[row], 40)} × {short(matrices.columns[column], 40)}: {text}"
            cells.append({"value": ranked_value, "title": title})
        rows.append({"name": short(matrices.columns[row], 24), "cells": cells})
    return {"names": [short(name, 24) for name in names], "rows": rows, "left_out": len(matrices.columns) - len(kept)}


def _card(column: ColumnProfile, found: Exploration) -> dict[str, Any]:
    notes = [finding for finding in found.findings if finding.column == column.name]
    values = [] if column.histogram and column.distinct > SHOWN_VALUES else _values(column)
    return {
        "id": found.columns.index(column),
        "name": short(column.name),
        "type": column.type,
        "role": column.role,
        "suspect": column.name in found.suspects,
        "notes": [finding.code.replace("_", " ") for finding in notes if finding.code not in ("leakage", "twins")],
        "facts": _facts(column),
        "picture": _picture(column.histogram, column) if column.histogram and not values else None,
        "values": values,
    }


def _facts(column: ColumnProfile) -> list[tuple[str, str, str]]:
    """Return label, value and explanation of each figure on a column's card."""
    about = "" if column.distinct_is_exact else "≈ "
    facts = [
        ("missing", percent(column.missing_share), f"{column.missing:,} null, {column.nan:,} NaN"),
        ("distinct", about + number(column.distinct), "Different values, null not counted"),
    ]
    numbers = column.numbers
    if numbers is not None:
        facts += [
            ("min", readable(numbers.min, column), "Least value"),
            ("max", readable(numbers.max, column), "Greatest value"),
            ("median", readable(numbers.quantiles.get("0.5"), column), "Half of the values lie below"),
            ("mean", readable(numbers.mean, column), "Arithmetic mean"),
        ]
        if column.kind == "numeric":
            facts += [
                ("std", number(numbers.std), "Standard deviation"),
                ("skew", number(numbers.skew, 2), "0: symmetric; positive: long tail to the right"),
            ]
    if column.texts is not None:
        lengths = f"{number(column.texts.min_length)}–{number(column.texts.max_length)}"
        facts.append(("length", lengths, "Shortest and longest text, in characters"))
    if column.label is not None:
        explanation = f"AUC of this column alone, ± {2 * column.label.auc_error:.3f}; 0.5 says nothing"
        facts.append(("AUC", f"{column.label.auc:.3f}", explanation))
    return facts


def _picture(histogram: Histogram, column: ColumnProfile) -> Any:
    edges, total = histogram.edges, max(1, sum(histogram.counts))
    labels = [_span(column, low, high) for low, high in itertools.pairwise(edges)]
    items = []
    for index, (count, (low, high)) in enumerate(zip(histogram.counts, labels, strict=True)):
        low = "below" if index == 0 and _beyond(column, edges[0], -1) else low
        high = "above" if index == len(histogram.counts) - 1 and _beyond(column, edges[-1], 1) else high
        span = low if low == high else f"{low} to {high}"
        items.append(Bar(count, f"{span}: {count:,} rows ({percent(count / total)})"))
    return bars(items, title=f"Histogram of {short(column.name)}", ends=(labels[0][0], labels[-1][1]))


def _span(column: ColumnProfile, low: float, high: float) -> tuple[str, str]:
    """Return the ends of a bin in words; a bin of whole numbers is named by the numbers in it."""
    if column.type.startswith(("int", "uint")):
        low, high = math.ceil(low), math.ceil(high) - 1
    return readable(low, column), readable(high, column)


def _beyond(column: ColumnProfile, edge: float, side: int) -> bool:
    numbers = column.numbers
    if numbers is None or numbers.min is None or numbers.max is None:
        return False
    return numbers.max > edge if side > 0 else numbers.min < edge


def _values(column: ColumnProfile) -> list[dict[str, Any]]:
    present = max(1, column.rows - column.missing)
    top = column.top[:SHOWN_VALUES]
    highest = max((item.count for item in top), default=1)
    shown = [
        {
            "value": short(item.value, 48),
            "share": item.count / present,
            "width": 100 * item.count / highest,
            "count": item.count,
        }
        for item in top
    ]
    rest = present - sum(item.count for item in top)
    if top and rest > 0:
        others = max(1, column.distinct - len(top))
        shown.append({"value": f"{others:,} others", "share": rest / present, "width": None, "count": rest})
    return shown


def _line(column: ColumnProfile) -> list[str]:
    numbers = column.numbers
    return [
        short(column.name, 48),
        column.type,
        percent(column.missing_share),
        number(column.distinct),
        readable(numbers.mean if numbers else None, column),
        readable(numbers.min if numbers else None, column),
        readable(numbers.max if numbers else None, column),
        f"{column.label.auc:.3f}" if column.label else number(None),
    ]
