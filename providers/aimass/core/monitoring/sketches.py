"""What is kept of a column instead of its rows: counts in bins that the reference fixes once.

Why bins and not a quantile sketch: counts in fixed bins add up exactly, batch by batch and server by server, and the
tests in `calibration` are exact for them. A quantile sketch has an error of its own (about 1 % of the ranks), which in
a window of 10,000 rows is as large as what the test is looking for.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from aimass.core.errors import DataError
from aimass.core.features.raw import Kind

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

BINS = 32
"""Bins of equally many reference values; more would see little more and need more rows."""
KEPT_VALUES = 100
KEPT_CHARACTERS = 200
LARGEST = 1e150
"""Numbers are cut to this size, so that sums of squares stay finite."""


class _Sketch(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = Field(description="What the column holds.")
    counts: list[int] = Field(description="Values by bin.")
    missing: int = Field(default=0, ge=0, description="Missing values.")

    @property
    def bins(self) -> Counts:
        """The counts, shape (n_bins,)."""
        return np.asarray(self.counts, dtype=np.int64)

    @property
    def present(self) -> int:
        """Number of values that are not missing."""
        return sum(self.counts)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.present + self.missing

    def emptied(self) -> Self:
        """Return the same bins with nothing in them."""
        return self.model_copy(update={"counts": [0] * len(self.counts), "missing": 0})

    @property
    def missing_share(self) -> float:
        """Share of rows whose value is missing; 0 where there are no rows."""
        return self.missing / self.rows if self.rows else 0.0


class NumberSketch(_Sketch):
    """Counts and sums of numbers between edges: bin i holds ``edges[i - 1] <= value < edges[i]``.

    The first and the last bin are beyond what the reference's sample held. A value that is frequent has a bin of its
    own. Without edges (dates: time always goes on) there is one bin, and only missing values are compared.
    """

    type: Literal["numbers"] = Field(default="numbers", description="Which kind of sketch it is.")
    edges: list[float] = Field(description="Ascending; n - 1 edges for n bins.")
    sums: list[float] = Field(description="Sum of the values by bin.")
    squares: float = Field(default=0.0, description="Sum of the squared distances from `center`.")
    center: float = Field(default=0.0, description="A value in the middle of the reference.")

    @classmethod
    def fit(cls, values: pl.Series, kind: Kind) -> NumberSketch:
        """Return an empty sketch with bins for a sample of the reference."""
        numbers = _numbers(values.drop_nulls())
        edges = np.empty(0) if kind == "date" or not numbers.size else _edges(numbers)
        size = len(edges) + 1
        center = float(np.median(numbers)) if edges.size else 0.0
        return cls(kind=kind, edges=edges.tolist(), counts=[0] * size, sums=[0.0] * size, center=center)

    def of(self, values: pl.Series) -> NumberSketch:
        """Return the sketch of other values in the same bins."""
        numbers = _numbers(values.drop_nulls())
        size = len(self.counts)
        bins = np.searchsorted(np.asarray(self.edges), numbers, side="right")
        sums = np.bincount(bins, weights=numbers, minlength=size) if self.edges else np.zeros(1)
        return self.model_copy(
            update={
                "counts": np.bincount(bins, minlength=size).tolist(),
                "sums": sums.tolist(),
                "squares": float(np.sum((numbers - self.center) ** 2)) if self.edges else 0.0,
                "missing": values.null_count(),
            }
        )

    def emptied(self) -> Self:
        """Return the same bins with nothing in them."""
        return super().emptied().model_copy(update={"sums": [0.0] * len(self.sums), "squares": 0.0})

    def merge(self, other: NumberSketch) -> NumberSketch:
        """Return the sketch of both sides' values."""
        _check_bins(self.edges == other.edges and self.center == other.center)
        return self.model_copy(
            update={
                "counts": (self.bins + other.bins).tolist(),
                "sums": np.add(self.sums, other.sums).tolist(),
                "squares": self.squares + other.squares,
                "missing": self.missing + other.missing,
            }
        )

    @property
    def mean(self) -> float | None:
        """Mean of the values; None where there are none."""
        return sum(self.sums) / self.present if self.edges and self.present else None

    @property
    def std(self) -> float:
        """Standard deviation of the values (population); 0 where there are none."""
        mean = self.mean
        if mean is None:
            return 0.0
        return math.sqrt(max(0.0, self.squares / self.present - (mean - self.center) ** 2))

    def means(self) -> tuple[Floats, Floats]:
        """Return the mean of each bin that has values, and its share of the values; both of shape (n,)."""
        held = self.bins > 0
        return np.asarray(self.sums)[held] / self.bins[held], self.bins[held] / max(1, self.present)


class TextSketch(_Sketch):
    """Counts of the reference's most frequent values, and of all other values together in the last bin."""

    type: Literal["texts"] = Field(default="texts", description="Which kind of sketch it is.")
    values: list[str] = Field(description="The values; n - 1 for n bins.")

    @classmethod
    def fit(cls, values: pl.Series, kind: Kind = "string") -> TextSketch:
        """Return an empty sketch with bins for a sample of the reference."""
        name = values.name
        short = values.filter(values.str.len_chars() <= KEPT_CHARACTERS)
        counted = short.value_counts().sort(["count", name], descending=[True, False]).head(KEPT_VALUES)
        kept = counted[name].to_list()
        return cls(kind=kind, values=kept, counts=[0] * (len(kept) + 1))

    def of(self, values: pl.Series) -> TextSketch:
        """Return the sketch of other values in the same bins."""
        present = values.drop_nulls()
        known = present.cast(pl.Enum(self.values), strict=False).to_physical().drop_nulls().to_numpy()
        counts = np.bincount(known, minlength=len(self.values))
        found = [*counts.tolist(), len(present) - len(known)]
        return self.model_copy(update={"counts": found, "missing": values.null_count()})

    def merge(self, other: TextSketch) -> TextSketch:
        """Return the sketch of both sides' values."""
        _check_bins(self.values == other.values)
        counts = (self.bins + other.bins).tolist()
        return self.model_copy(update={"counts": counts, "missing": self.missing + other.missing})

    @property
    def is_complete(self) -> bool:
        """Whether the values are all that this column has."""
        return self.counts[-1] == 0

    @property
    def others(self) -> float:
        """Share of values that are none of `values`; 0 where there are no values."""
        return self.counts[-1] / self.present if self.present else 0.0


Sketch = Annotated[NumberSketch | TextSketch, Field(discriminator="type")]


def _numbers(values: pl.Series) -> Floats:
    numbers: Floats = values.cast(pl.Float64).to_numpy()
    return np.clip(numbers, -LARGEST, LARGEST)


def _edges(numbers: Floats) -> Floats:
    """Return the least value, quantiles, the end of each frequent value, and what is just beyond the greatest one."""
    distinct = np.unique(numbers)
    beyond = np.nextafter(distinct[-1], math.inf)
    if len(distinct) <= BINS:
        return np.append(distinct, beyond)
    cuts = np.sort(numbers)[np.linspace(0, len(numbers) - 1, BINS + 1).astype(int)]
    frequent = cuts[:-1][cuts[1:] == cuts[:-1]]
    return np.unique(np.concatenate([cuts[:-1], np.nextafter(frequent, math.inf), [beyond]]))


def _check_bins(same: bool) -> None:
    if not same:
        raise DataError(
            "Two sketches of a column have other bins", expected="the bins of one and the same reference profile"
        )
