"""Drift: which columns of a window differ from the reference, certainly and by enough to matter."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aimass.core.errors import missing_column
from aimass.core.features.raw import RawColumn
from aimass.core.monitoring.calibration import (
    Statistic,
    benjamini_hochberg,
    distance,
    draws_for,
    g,
    jensen_shannon,
    p_values,
    wasserstein,
)
from aimass.core.monitoring.log import LABEL, PROBABILITY
from aimass.core.monitoring.profile import Profile
from aimass.core.monitoring.result import ColumnDrift, Drift, DriftTest, TestName
from aimass.core.monitoring.settings import DriftSettings
from aimass.core.monitoring.sketches import Counts, NumberSketch, Sketch, TextSketch

FEW_VALUES = 5
"""Numbers of at most so many values are compared as categories: their distances mean nothing."""


def watched(raw: Sequence[RawColumn], settings: DriftSettings) -> list[RawColumn]:
    """Return the raw columns that are compared.

    Raises
    ------
    SchemaMismatchError
        A column that is named does not exist.
    """
    names = [column.name for column in raw]
    for name in [*(settings.columns or []), *settings.skip]:
        if name not in names:
            raise missing_column(name, names, where="the model's raw columns")
    wanted = set(names if settings.columns is None else settings.columns) - set(settings.skip)
    return [column for column in raw if column.name in wanted]


def compare(reference: Profile, window: Profile, settings: DriftSettings, *, seed: int = 0) -> Drift:
    """Return how far `window` is from `reference`.

    Parameters
    ----------
    reference : Profile
        Of the training part, with the answers to held-out rows.
    window : Profile
        From ``reference.window``: the same bins, perhaps fewer columns.
    settings : DriftSettings
        What counts as drift.
    seed : int
        Of the permutations.
    """
    pairs = {name: (reference.columns[name], sketch) for name, sketch in window.columns.items()}
    pairs |= {name: (reference.answers[name], sketch) for name, sketch in window.answers.items()}
    planned = {name: _planned(*pair) for name, pair in pairs.items()}
    most_tests = max(sum(len(each.names) for each in tests) for tests in planned.values())
    draws = draws_for(most_tests * len(planned), settings.alpha)
    found = {
        name: [result for each in tests for result in each.run(draws, seed + zlib.crc32(name.encode()))]
        for name, tests in planned.items()
    }
    judged = _judged(found, settings)
    columns = {name: _column(name, *pairs[name], judged[name]) for name in pairs}
    return Drift(
        alpha=settings.alpha,
        min_effect=settings.min_effect,
        tests=sum(map(len, judged.values())),
        columns=[columns[name] for name in window.columns],
        probability=columns[PROBABILITY],
        label=columns[LABEL],
    )


@dataclass(frozen=True)
class _Plan:
    """Tests on one pair of counts, which share their draws."""

    reference: Counts
    window: Counts
    names: tuple[TestName, ...]
    statistics: tuple[Statistic, ...]
    effects: tuple[Callable[[], float], ...]

    @property
    def width(self) -> int:
        """Number of bins in which either side has values."""
        return int(np.sum(self.reference + self.window > 0))

    def run(self, draws: int, seed: int) -> list[DriftTest]:
        """Return the tests, not yet judged."""
        found = p_values(self.reference, self.window, self.statistics, draws=draws, seed=seed)
        return [
            DriftTest(name=name, statistic=statistic, p=p, q=p, effect=effect(), alarm=False)
            for name, effect, (statistic, p) in zip(self.names, self.effects, found, strict=True)
        ]


def _planned(reference: Sketch, window: Sketch) -> list[_Plan]:
    """Return the tests that can differ; that depends on both sides' counts together, so it favours no outcome."""
    values = _shares(reference.bins, window.bins, name="shares")
    if isinstance(reference, NumberSketch) and isinstance(window, NumberSketch) and values.width > FEW_VALUES:
        values = _Plan(
            values.reference,
            values.window,
            ("distribution", *values.names),
            (distance, *values.statistics),
            (lambda: _moved(reference, window), *values.effects),
        )
    missing = _shares(
        np.array([reference.missing, reference.present]), np.array([window.missing, window.present]), name="missing"
    )
    return [plan for plan in (values, missing) if plan.width > 1 and plan.reference.sum() and plan.window.sum()]


def _shares(reference: Counts, window: Counts, *, name: TestName) -> _Plan:
    return _Plan(reference, window, (name,), (g,), (lambda: jensen_shannon(reference, window),))


def _moved(reference: NumberSketch, window: NumberSketch) -> float:
    """Return the Wasserstein distance in standard deviations of the reference."""
    moved = wasserstein(reference.means(), window.means())
    return moved / reference.std if reference.std > 0 else jensen_shannon(reference.bins, window.bins)


def _judged(found: dict[str, list[DriftTest]], settings: DriftSettings) -> dict[str, list[DriftTest]]:
    """Return the tests with their q: Benjamini-Hochberg within each column, then over the columns.

    The least of the first is the column's chance (Simes, 1986). So a column counts once, however many tests it has, and
    alpha bounds the share of wrong names among the named columns.
    """
    within = {name: benjamini_hochberg([test.p for test in tests]) for name, tests in found.items() if tests}
    over = dict(zip(within, benjamini_hochberg([min(q) for q in within.values()]), strict=True))
    scales = {name: over[name] / min(q) for name, q in within.items()}
    return {
        name: [
            _verdict(test, min(1.0, q * scales[name]), settings) for test, q in zip(tests, within[name], strict=True)
        ]
        if tests
        else []
        for name, tests in found.items()
    }


def _verdict(test: DriftTest, q: float, settings: DriftSettings) -> DriftTest:
    alarm = q <= settings.alpha and test.effect >= settings.min_effect
    return test.model_copy(update={"q": q, "alarm": alarm})


def _column(name: str, reference: Sketch, window: Sketch, tests: list[DriftTest]) -> ColumnDrift:
    knows_all = isinstance(reference, TextSketch) and reference.is_complete
    return ColumnDrift(
        column=name.removeprefix("__"),
        kind=reference.kind,
        rows=window.rows,
        reference_rows=reference.rows,
        missing_share=window.missing_share,
        reference_missing_share=reference.missing_share,
        unseen_share=window.others if knows_all and isinstance(window, TextSketch) else None,
        mean=window.mean if isinstance(window, NumberSketch) else None,
        reference_mean=reference.mean if isinstance(reference, NumberSketch) else None,
        tests=tests,
    )
