"""Whether "1 % false alarms" is true, and what is found: windows without and with drift, of several sizes.

Without drift: the share of windows in which anything at all is significant (whatever its effect), and in which there
is an alarm. With drift: how often the shifted column is named, and the share of wrong names among the names.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from aimass.core.monitoring.drift import compare
from aimass.core.monitoring.profile import Profile
from aimass.core.monitoring.result import Drift
from aimass.core.monitoring.settings import DriftSettings
from benchmarks.drift_rows import RAW, SHIFTS, rows, shifted
from benchmarks.figures import Figure, conclude

if TYPE_CHECKING:
    import polars as pl

NULL = ((100_000, 200), (100_000, 1_000), (100_000, 10_000), (2_000, 1_000))
"""Rows of the reference and of the window."""
POWER_REFERENCE = 100_000
POWER_WINDOWS = (200, 1_000, 5_000)
WINDOWS_PER_REFERENCE = 20
SMALL_REFERENCE = 5_000
SETTINGS = DriftSettings()


def reference(count: int, seed: int) -> Profile:
    """Return the profile of `count` rows, their answers included."""
    frame = rows(count, np.random.default_rng([seed, 1]))
    return Profile.of_frame(frame.lazy(), RAW, count).with_answers([frame])


def compared(profile: Profile, frame: pl.DataFrame, seed: int) -> Drift:
    """Return what drifted."""
    return compare(profile, profile.window([frame.lazy()]), SETTINGS, seed=seed)


def windows(reference_rows: int, draws: int) -> Iterator[tuple[Profile, int]]:
    """Yield a reference and a seed, `draws` times; a small reference is drawn anew each time."""
    each = 1 if reference_rows <= SMALL_REFERENCE else WINDOWS_PER_REFERENCE
    for draw in range(draws):
        if draw % each == 0:
            profile = reference(reference_rows, draw)
        yield profile, draw


def false_alarms(reference_rows: int, window_rows: int, draws: int) -> tuple[float, float]:
    """Return the shares of windows without drift in which something is significant, and raises an alarm."""
    significant = alarms = 0
    for profile, seed in windows(reference_rows, draws):
        found = compared(profile, rows(window_rows, np.random.default_rng([seed, 2])), seed)
        tests = [test for each in [*found.columns, found.probability, found.label] for test in each.tests]
        significant += any(test.q <= SETTINGS.alpha for test in tests)
        alarms += any(test.alarm for test in tests)
    return significant / draws, alarms / draws


def power(name: str, window_rows: int, draws: int) -> float:
    """Return how often the shifted column is named."""
    named = 0
    for profile, seed in windows(POWER_REFERENCE, draws):
        generator = np.random.default_rng([seed, 3])
        found = compared(profile, shifted(rows(window_rows, generator), [name], generator), seed)
        named += SHIFTS[name][0] in found.drifted
    return named / draws


def false_discoveries(window_rows: int, draws: int) -> float:
    """Return the mean share of wrong names among the significant columns, all shifts at once."""
    wrong = []
    shifted_columns = {column for column, _ in SHIFTS.values()}
    for profile, seed in windows(POWER_REFERENCE, draws):
        generator = np.random.default_rng([seed, 4])
        found = compared(profile, shifted(rows(window_rows, generator), SHIFTS, generator), seed)
        named = [each.column for each in found.columns if each.q <= SETTINGS.alpha]
        wrong.append(sum(name not in shifted_columns for name in named) / max(1, len(named)))
    return float(np.mean(wrong))


def table(headers: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Print a Markdown table, line by line as they are found."""
    for line in itertools.chain([headers, ["---"] * len(headers)], lines):
        print(f"| {' | '.join(map(str, line))} |", flush=True)


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift_calibration", description=__doc__)
    parser.add_argument("--long", action="store_true", help="ten times as many windows")
    parser.add_argument("--draws", type=int, default=1_000, help="windows without drift for each size")
    options = parser.parse_args()
    draws = options.draws * (10 if options.long else 1)
    nulls = {sizes: false_alarms(*sizes, draws) for sizes in NULL}
    print(f"\n{draws:,} windows without drift, alpha {SETTINGS.alpha:g}, {len(RAW)} columns and the answers\n")
    lines = [[f"{m:,}", f"{n:,}", f"{seen:.1%}", f"{alarm:.1%}"] for (m, n), (seen, alarm) in nulls.items()]
    table(["rows of the reference", "rows of the window", "windows with anything significant", "with an alarm"], lines)
    tries = max(20, draws // 20)
    print(f"\nHow often the shifted column is named, {tries:,} windows each, reference of {POWER_REFERENCE:,} rows\n")
    found = ([name, *(f"{power(name, n, tries):.0%}" for n in POWER_WINDOWS)] for name in SHIFTS)
    table(["shift", *(f"{n:,} rows" for n in POWER_WINDOWS)], found)
    discoveries = false_discoveries(1_000, tries)
    print(f"\nall shifts at once, windows of 1,000 rows: {discoveries:.2%} of the named columns are wrong\n")
    # Three standard errors: a true rate of alpha passes 997 times of 1,000.
    goal = SETTINGS.alpha + 3 * math.sqrt(SETTINGS.alpha * (1 - SETTINGS.alpha) / draws)
    figures = [Figure(f"false alarms, {m:,} / {n:,} rows", seen, "", goal=goal) for (m, n), (seen, _) in nulls.items()]
    return conclude("drift_calibration", [*figures, Figure("false discoveries", discoveries, "", goal=SETTINGS.alpha)])


if __name__ == "__main__":
    sys.exit(main())
