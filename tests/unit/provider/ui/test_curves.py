"""Curves over time: round axes that hold every value, gaps, marks, nothing unescaped."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from aimass.ui.curves import Curve, Mark, _ticks, curves

BEGIN = datetime(2026, 4, 1, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>"
finite = st.floats(-1e12, 1e12).map(lambda value: round(value, 6))


def points(*values: float | None) -> list[tuple[datetime, float | None]]:
    return [(BEGIN + timedelta(minutes=place), value) for place, value in enumerate(values)]


@given(finite, finite)
def test_ticks_hold_the_values_and_are_few(one: float, other: float) -> None:
    low, high = sorted((one, other))
    ticks = _ticks(low, high)
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= 6
    assert ticks == sorted(set(ticks))


@given(st.lists(st.none() | finite, max_size=200))
def test_no_values_break_the_picture(values: list[float | None]) -> None:
    drawn = str(curves([Curve("one", points(*values))], title="t", floor=0))
    assert bool(drawn) == any(value is not None for value in values)
    places = [float(text) for text in re.findall(r'c[xy]="([^"]+)"', drawn)]
    assert all(-1 <= place <= 500 for place in places)


def test_what_is_missing_interrupts_the_curve() -> None:
    drawn = str(curves([Curve("one", points(1, 2, None, 3, 4))], title="t"))
    (path,) = re.findall(r'class="line blue" d="([^"]+)"', drawn)
    assert path.count("M") == 2
    assert drawn.count("<circle") == 4


def test_marks_outside_of_the_time_shown_are_left_out_and_all_is_escaped() -> None:
    marks = [Mark(BEGIN + timedelta(minutes=1), HOSTILE, HOSTILE), Mark(BEGIN - timedelta(days=1), "v0", "before")]
    band = [(BEGIN, 0.5, 1.5)]
    drawn = str(curves([Curve(HOSTILE, points(1, 2, 3), HOSTILE, band)], title=HOSTILE, marks=marks))
    assert drawn.count('class="mark') == 1
    assert "<img" not in drawn
    assert "v0" not in drawn
