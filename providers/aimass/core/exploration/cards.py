"""One column as its card on the page: figures with their explanations, a histogram or the most frequent values."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from aimass.core.exploration.findings import TITLES
from aimass.core.exploration.profile import ColumnProfile, Exploration, Histogram
from aimass.core.reports import Bar, bars, number, percent, short
from aimass.core.texts import Text, say, translate

SHOWN_VALUES = 8
TICKS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROLES = {"target": say("target"), "id": say("id"), "time": say("time")}


class Fact(NamedTuple):
    """A figure of a column.

    Attributes
    ----------
    label : Text
        What it is called.
    value : str
        What it is.
    hint : Text
        What it means.
    """

    label: Text
    value: str
    hint: Text


def card(column: ColumnProfile, found: Exploration) -> dict[str, Any]:
    """Return what the template draws as the column's card."""
    codes = [finding.code for finding in found.findings if finding.column == column.name]
    values = [] if column.histogram and column.distinct > SHOWN_VALUES else _values(column)
    return {
        "anchor": anchor(column.name, found),
        "name": short(column.name),
        "type": column.type,
        "role": ROLES.get(column.role),
        "suspect": column.name in found.suspects,
        "notes": [TITLES.get(code, code) for code in codes if code not in ("leakage", "twins")],
        "facts": _facts(column),
        "picture": _picture(column.histogram, column) if column.histogram and not values else None,
        "values": values,
    }


def anchor(name: str, found: Exploration) -> str:
    """Return the id of the column's card on the page."""
    return f"c{next(index for index, column in enumerate(found.columns) if column.name == name)}"


def line(column: ColumnProfile) -> list[str]:
    """Return the cells of a column that gets one line instead of a card."""
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


def _facts(column: ColumnProfile) -> list[Fact]:
    about = "" if column.distinct_is_exact else "≈ "
    gaps = say("Rows without a value: {nulls:,} null, {nans:,} NaN.", nulls=column.missing, nans=column.nan)
    facts = [
        Fact(say("missing"), percent(column.missing_share), gaps),
        Fact(say("distinct"), about + number(column.distinct), say("Different values; null is not counted.")),
        *_number_facts(column),
    ]
    if column.texts is not None:
        lengths = f"{number(column.texts.min_length)}–{number(column.texts.max_length)}"
        facts.append(Fact(say("length"), lengths, say("Shortest and longest text, in characters.")))
    if column.label is not None:
        hint = say(
            "How well this column alone ranks the rows, ± {error:.3f}: 0.5 is guessing, 1 is certain.",
            error=2 * column.label.auc_error,
        )
        facts.append(Fact(say("AUC"), f"{column.label.auc:.3f}", hint))
    return facts


def _number_facts(column: ColumnProfile) -> list[Fact]:
    numbers = column.numbers
    if numbers is None:
        return []
    facts = [
        Fact(say("min"), readable(numbers.min, column), say("The least value.")),
        Fact(say("max"), readable(numbers.max, column), say("The greatest value.")),
        Fact(say("median"), readable(numbers.quantiles.get("0.5"), column), say("Half of the values lie below it.")),
        Fact(say("mean"), readable(numbers.mean, column), say("Sum of the values divided by their number.")),
    ]
    if column.kind == "numeric":
        spread = say("Standard deviation: how far the values lie from the mean, typically.")
        tail = say("Lopsidedness: 0 is symmetric; above 0 there is a long tail of large values, below 0 of small ones.")
        facts += [Fact(say("std"), number(numbers.std), spread), Fact(say("skew"), number(numbers.skew, 2), tail)]
    return facts


def _picture(histogram: Histogram, column: ColumnProfile) -> dict[str, Any]:
    """Return the histogram, and what its reader should see in it."""
    total = max(1, sum(histogram.counts))
    # Once for all bars: a page has thousands of them.
    pattern = translate("{span}: {rows:,} rows ({share})")
    texts = [
        pattern.format(span=span, rows=count, share=percent(count / total))
        for span, count in zip(_spans(histogram, column), histogram.counts, strict=True)
    ]
    items = [Bar(count, text) for count, text in zip(histogram.counts, texts, strict=True)]
    ends = (_ends(column, *histogram.edges[:2])[0], _ends(column, *histogram.edges[-2:])[1])
    tallest = max(range(len(texts)), key=lambda index: histogram.counts[index])
    return {
        "svg": bars(items, title=str(say("Histogram of {column}", column=short(column.name))), ends=ends),
        "hint": say("How many rows hold a value in each range. The highest bar is {bar}.", bar=texts[tallest]),
    }


def _spans(histogram: Histogram, column: ColumnProfile) -> list[str]:
    """Return each bar's range in words."""
    pattern = translate("{low} to {high}")
    ends = [_ends(column, low, high) for low, high in itertools.pairwise(histogram.edges)]
    spans = [low if low == high else pattern.format(low=low, high=high) for low, high in ends]
    if _beyond(column, histogram.edges[0], -1):
        spans[0] = str(say("{high} and below", high=ends[0][1]))
    if _beyond(column, histogram.edges[-1], 1):
        spans[-1] = str(say("{low} and above", low=ends[-1][0]))
    return spans


def _ends(column: ColumnProfile, low: float, high: float) -> tuple[str, str]:
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
    shown: list[dict[str, Any]] = [
        {
            "label": short(item.value, 48),
            "share": item.count / present,
            "width": 100 * item.count / highest,
            "count": item.count,
        }
        for item in top
    ]
    rest = present - sum(item.count for item in top)
    if top and rest > 0:
        others = say("{count:,} others", count=max(1, column.distinct - len(top)))
        shown.append({"label": others, "share": rest / present, "width": None, "count": rest})
    return shown
