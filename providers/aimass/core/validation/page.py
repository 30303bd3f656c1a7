"""From the entries of a validation to its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aimass.core.reports import PART_NAMES, number, percent, render, short
from aimass.core.texts import Text, say, translate
from aimass.core.validation.outcomes import by_expectation, expected_text, failure, seen_text
from aimass.core.validation.suite import Expectation

MOST_LINES = 2_000
MOST_FAILED = 200
KINDS = {
    "expect_table_row_count_to_be_between": say("The number of rows lies in a range."),
    "expect_table_columns_to_match_set": say("The table has these columns."),
    "expect_column_values_to_be_in_type_list": say("The values have one of these types."),
    "expect_column_values_to_not_be_null": say("The column has a value in enough of the rows."),
    "expect_column_values_to_be_unique": say("No value occurs twice."),
    "expect_column_values_to_be_in_set": say("The values are known ones."),
    "expect_column_value_lengths_to_be_between": say("The texts are not much longer than those seen in training."),
    "expect_column_values_to_be_between": say("The values lie in a range around those seen in training."),
}
"""What the generated kinds of expectations mean; others show their name."""


def validation_page(
    suite: Sequence[Expectation], entries: Sequence[Mapping[str, Any]], parts: Mapping[str, tuple[int, int]]
) -> str:
    """Return ``report.html``: what failed first, then every expectation with its verdict in each part.

    Parameters
    ----------
    suite : sequence of dict
        The expectations.
    entries : sequence of dict
        Their results in all parts.
    parts : dict
        By share of the split: rows looked at and rows there are.
    """
    verdicts: dict[str, dict[str, Mapping[str, Any]]] = {}
    for entry in entries:
        verdicts.setdefault(entry["meta"]["id"], {})[entry["meta"]["part"]] = entry
    failed = [failure(entry) for entry in entries if not entry["success"]]
    return render(
        "validation.html",
        title=say("Validation"),
        parts=[_part(part) for part in parts],
        tiles=_tiles(len(entries), len(failed), parts),
        failed=[
            {
                "id": item.id,
                "hint": _meaning(item.expectation),
                "parts": translate(", ").join(str(_part(part)) for part in broken),
                "expected": short(item.expected, 200),
                "seen": short(item.seen, 300),
            }
            for item, broken in by_expectation(failed)[:MOST_FAILED]
        ],
        n_failed=len(failed),
        n_entries=len(entries),
        lines=[_line(item, verdicts.get(item["id"], {}), list(parts)) for item in suite[:MOST_LINES]],
        left_out=max(0, len(suite) - MOST_LINES),
    )


def _part(part: str) -> Text | str:
    return PART_NAMES.get(part, part)


def _tiles(evaluated: int, failed: int, parts: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    verdict = {
        "label": say("Verdict"),
        "value": say("failed") if failed else say("passed"),
        "tone": "error" if failed else "good",
        "hint": say("It passes where every expectation holds in every part; where one fails, the pipeline stops."),
    }
    counts = [
        {
            "label": say("Evaluated"),
            "value": number(evaluated),
            "hint": say("Expectations, counted once for each part."),
        },
        {
            "label": say("Failed"),
            "value": number(failed),
            "tone": "error" if failed else "",
            "hint": say("Of these, the ones that do not hold."),
        },
    ]
    rows = [
        {
            "label": say("Rows of {part}", part=_part(part)),
            "value": number(seen),
            "hint": say("All rows of this part were looked at.")
            if seen == there
            else say(
                "Rows looked at, evenly spaced among {all:,}: {share} of them.", all=there, share=percent(seen / there)
            ),
        }
        for part, (seen, there) in parts.items()
    ]
    return [verdict, *counts, *rows]


def _meaning(kind: str) -> Text | str:
    return say("{meaning} ({kind})", meaning=KINDS[kind], kind=kind) if kind in KINDS else kind


def _line(item: Expectation, verdicts: Mapping[str, Mapping[str, Any]], parts: Sequence[str]) -> dict[str, Any]:
    arguments = {key: value for key, value in item.items() if key not in ("id", "expectation")}
    return {
        "id": short(item["id"]),
        "hint": _meaning(item["expectation"]),
        "expected": short(expected_text(arguments), 120),
        "cells": [_cell(verdicts.get(part)) for part in parts],
    }


def _cell(entry: Mapping[str, Any] | None) -> dict[str, Any]:
    if entry is None:
        return {"tone": "", "mark": "–", "seen": say("Types are looked at in the first part only.")}
    return {
        "tone": "good" if entry["success"] else "error",
        "mark": say("holds") if entry["success"] else say("fails"),
        "seen": seen_text(entry),
    }
