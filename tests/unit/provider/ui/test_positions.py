"""What pages say about a position."""

from __future__ import annotations

from gettext import NullTranslations
from typing import Any

import pytest

from aimass.ui.positions import MOST_CHARACTERS, position_words

FILES = [[f"2026/{number}.csv", 100, "etag"] for number in range(1, 6)]


@pytest.mark.parametrize(
    ("position", "said"),
    [
        (None, ""),
        ({"folder": "file:///lake", "files": FILES[:1], "before": None}, "1 file, 100 B: 1.csv"),
        ({"folder": "file:///lake", "files": FILES, "before": None}, "5 files, 500 B: 1.csv, 2.csv, 3.csv, …"),
        (
            {"topics": {"b": {"id": "x", "partitions": {"10": [0, 1], "2": [7, 9]}}}},
            "b: 3 offsets (2: 7–9, 10: 0–1)",
        ),
        ({"mark": {"after": None, "to": [43], "seen": {"digests": "c2VjcmV0"}}}, "up to 43"),
        ({"mark": {"after": [40], "to": [43], "late": []}}, "above 40, up to 43"),
        ({"watermark": {"after": ["a", 1], "to": ["b", 2], "late": [["a", 0]]}},
         "above a, 1, up to b, 2; 1 row that came late"),
        ({"mark": {"after": [40], "to": [40], "late": [[1], [2]]}}, "2 rows that came late"),
        ({"mark": {"after": None, "to": None}}, "no row yet"),
        ({"taken": "2026-11-29T10:11:12.345678"}, "as it was at 2026-11-29 10:11:12"),
        ({"page": 7}, '{"page": 7}'),
        ({"files": 3}, '{"files": 3}'),
    ],
)  # fmt: skip
def test_a_position_is_said_in_a_few_words(position: Any, said: str) -> None:
    assert position_words(position, NullTranslations()) == said


def test_a_long_position_is_cut() -> None:
    topics = {f"topic-{number:03d}": {"id": "x", "partitions": {"0": [0, 9]}} for number in range(99)}
    assert len(position_words({"topics": topics}, NullTranslations())) == MOST_CHARACTERS
