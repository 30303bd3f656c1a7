"""The tables that the drift benchmarks compare: twenty columns of every kind, and shifts of known size."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

from aimass.core.features.raw import Kind, RawColumn
from aimass.core.monitoring.log import LABEL, PROBABILITY

Column = npt.NDArray[np.generic]
Generator = np.random.Generator
Shift = Callable[[pl.Series, Generator], pl.Series]

LETTERS = np.array([f"value {index}" for index in range(12)])
ARROW = {"float": "double", "int": "int64", "bool": "bool", "string": "string"}


def _kinds() -> dict[str, Kind]:
    numbers: dict[str, Kind] = dict.fromkeys(
        ["normal_0", "normal_1", "normal_2", "normal_3", "lognormal", "uniform", "mostly_zero", "heavy_tail"], "float"
    )
    numbers |= dict.fromkeys(["correlated", "holes", "rounded"], "float")
    numbers |= dict.fromkeys(["hour", "poisson", "rare_count"], "int")
    return numbers | {"flag": "bool", **dict.fromkeys(["few", "many", "skewed", "text_holes", "two"], "string")}


KINDS = _kinds()
RAW = [RawColumn(name=name, type=ARROW[kind], kind=kind) for name, kind in KINDS.items()]


def rows(count: int, generator: Generator) -> pl.DataFrame:
    """Return `count` rows without drift, with the answers of a model that looks at three of the columns."""
    normal = generator.normal(size=(count, 4))
    found: dict[str, object] = {f"normal_{index}": normal[:, index] for index in range(4)}
    found |= {
        "lognormal": generator.lognormal(sigma=0.8, size=count),
        "uniform": generator.uniform(size=count),
        "mostly_zero": np.where(generator.uniform(size=count) < 0.7, 0.0, generator.exponential(size=count)),
        "heavy_tail": generator.standard_t(3, size=count),
        "correlated": normal[:, 0] + 0.3 * generator.normal(size=count),
        "holes": generator.normal(size=count),
        "rounded": generator.normal(size=count).round(1),
        "hour": generator.integers(24, size=count),
        "poisson": generator.poisson(40, size=count),
        "rare_count": generator.poisson(0.1, size=count),
        "flag": generator.uniform(size=count) < 0.3,
        "few": LETTERS[generator.integers(4, size=count)],
        "many": _named(generator.integers(300, size=count)),
        "skewed": _named(generator.zipf(1.7, size=count).clip(max=5_000)),
        "text_holes": LETTERS[generator.integers(12, size=count)],
        "two": LETTERS[(generator.uniform(size=count) < 0.05).astype(int)],
    }
    score = 1 / (1 + np.exp(1 - normal[:, 0] - 0.5 * normal[:, 1] - np.asarray(found["flag"])))
    frame = pl.DataFrame(found).with_columns(
        _holed("holes", 0.2, count, generator), _holed("text_holes", 0.05, count, generator)
    )
    return frame.with_columns(
        pl.Series(PROBABILITY, score.astype(np.float32)), pl.Series(LABEL, (score > 0.5).astype(np.int8))
    )


def _named(numbers: npt.NDArray[np.int64]) -> pl.Series:
    return pl.Series(numbers).cast(pl.String)


def _holed(name: str, share: float, count: int, generator: Generator) -> pl.Expr:
    return pl.when(pl.Series(generator.uniform(size=count) >= share)).then(pl.col(name)).alias(name)


def _some(values: pl.Series, others: pl.Series, share: float, generator: Generator) -> pl.Series:
    """Return `values` with about `share` of them replaced by `others`."""
    return values.zip_with(pl.Series(generator.uniform(size=len(values)) >= share), others)


def _moved(by: float) -> Shift:
    return lambda values, _: values + by


def _scaled(by: float, share: float = 1.0) -> Shift:
    return lambda values, generator: _some(values, values * by, share, generator)


def _replaced(value: str | None, share: float) -> Shift:
    return lambda values, generator: _some(
        values, pl.Series([value], dtype=values.dtype).new_from_index(0, len(values)), share, generator
    )


SHIFTS: dict[str, tuple[str, Shift]] = {
    "mean + 0.1 sd": ("normal_2", _moved(0.1)),
    "mean + 0.25 sd": ("normal_3", _moved(0.25)),
    "mean + 0.5 sd": ("uniform", _moved(0.5 * 12**-0.5)),
    "spread x 1.5": ("heavy_tail", _scaled(1.5)),
    "3 % of values x 60": ("lognormal", _scaled(60, 0.03)),
    "25 % another known category": ("few", _replaced("value 1", 0.25)),
    "5 % an unseen category": ("text_holes", _replaced("new", 0.05)),
    "missing 0 % to 5 %": ("poisson", _replaced(None, 0.05)),
}
"""What is done to a column, by name of the shift: the column, and its change."""


def shifted(frame: pl.DataFrame, names: Iterable[str], generator: Generator) -> pl.DataFrame:
    """Return `frame` with the named shifts."""
    changed = {column: shift(frame[column], generator) for column, shift in (SHIFTS[name] for name in names)}
    return frame.with_columns([values.alias(column) for column, values in changed.items()])
