"""From the entries of a validation to its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aimass.core.reports import number, render, short
from aimass.core.validation.outcomes import FailedExpectation, by_expectation, expected_text, seen_text
from aimass.core.validation.suite import Expectation

MOST_LINES = 2_000
MOST_FAILED = 200


def validation_page(
    suite: Sequence[Expectation],
    entries: Sequence[Mapping[str, Any]],
    failed: Sequence[FailedExpectation],
    parts: Mapping[str, tuple[int, int]],
) -> str:
    """Return ``report.html``: what failed first, then every expectation with its verdict in each part.

    Parameters
    ----------
    suite : sequence of dict
        The expectations.
    entries : sequence of dict
        Their results in all parts.
    failed : sequence of FailedExpectation
        Those that did not hold.
    parts : dict
        By share of the split: rows looked at and rows there are.
    """
    verdicts: dict[str, dict[str, Mapping[str, Any]]] = {}
    for entry in entries:
        verdicts.setdefault(entry["meta"]["id"], {})[entry["meta"]["part"]] = entry
    lines = [_line(item, verdicts.get(item["id"], {}), list(parts)) for item in suite[:MOST_LINES]]
    return render(
        "validation.html",
        title="Validation",
        parts=list(parts),
        tiles=_tiles(len(entries), len(failed), parts),
        failed=[
            [item.id, named, short(item.expected, 200), short(item.seen, 300)]
            for item, named in by_expectation(failed)[:MOST_FAILED]
        ],
        n_failed=len(failed),
        n_entries=len(entries),
        lines=lines,
        left_out=max(0, len(suite) - MOST_LINES),
    )


def _tiles(evaluated: int, failed: int, parts: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    verdict = {"label": "Verdict", "value": "failed" if failed else "passed", "tone": "error" if failed else "good"}
    counts = [
        {"label": "Evaluated", "value": number(evaluated), "hint": "Expectations, counted once for each part."},
        {"label": "Failed", "value": number(failed), "tone": "error" if failed else ""},
    ]
    rows = [
        {
            "label": f"Rows of {part}",
            "value": number(seen),
            "hint": "All rows." if seen == there else f"Evenly spaced among {there:,}.",
        }
        for part, (seen, there) in parts.items()
    ]
    return [verdict, *counts, *rows]


def _line(item: Expectation, verdicts: Mapping[str, Mapping[str, Any]], parts: Sequence[str]) -> dict[str, Any]:
    arguments = {key: value for key, value in item.items() if key not in ("id", "expectation")}
    return {
        "id": short(item["id"]),
        "kind": item["expectation"],
        "expected": short(expected_text(arguments), 120),
        "cells": [_cell(verdicts.get(part)) for part in parts],
    }


def _cell(entry: Mapping[str, Any] | None) -> dict[str, str]:
    if entry is None:
        return {"tone": "", "mark": "–", "seen": "looked at in the first part only"}
    return {
        "tone": "good" if entry["success"] else "error",
        "mark": "holds" if entry["success"] else "fails",
        "seen": seen_text(entry),
    }
