"""Links between two columns, on the sample: Pearson, Spearman, Cramér's V and the correlation ratio."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from aimass.core.exploration.label import Codes, contingency
from aimass.core.exploration.profile import Association, Correlations

Matrix = npt.NDArray[np.float64]

MOST_NUMBERS = 60
MOST_CATEGORIES = 30
MOST_VALUES = 50
KEPT = 100
WORTH_MENTIONING = 0.3
LEAST_ROWS = 10
MATRIX_ROWS = 25_000


def correlation_matrix(values: Matrix) -> Matrix:
    """Return Pearson correlations of the columns, each pair over the rows where both are there; NaN where undefined.

    Parameters
    ----------
    values : array, shape (n_rows, n_columns)
        NaN where missing.
    """
    known = np.isfinite(values)
    counts = np.maximum(known.sum(axis=0), 1)
    # Centred and scaled first: the sums below then keep their digits.
    centred = np.where(known, values - np.where(known, values, 0).sum(axis=0) / counts, 0)
    scale = np.sqrt((centred**2).sum(axis=0) / counts)
    centred = np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 0)
    mask = known.astype(np.float64)
    n = mask.T @ mask
    sums = centred.T @ mask
    squares = (centred**2).T @ mask
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = centred.T @ centred / n - (sums / n) * (sums.T / n)
        variance = squares / n - (sums / n) ** 2
        spread = np.sqrt(np.maximum(variance, 0) * np.maximum(variance.T, 0))
        matrix = covariance / spread
    matrix[(n < LEAST_ROWS) | ~(spread > 1e-12)] = np.nan
    return np.asarray(np.clip(matrix, -1, 1))


def correlations(sample: pl.DataFrame, names: list[str]) -> Correlations:
    """Return both matrices of the numeric columns `names`, over at most about `MATRIX_ROWS` evenly spaced rows."""
    if not names:
        return Correlations(columns=[], pearson=[], spearman=[])
    sample = sample.gather_every(max(1, sample.height // MATRIX_ROWS))
    values = sample.select(pl.col(name).cast(pl.Float64) for name in names)
    ranks = values.select(pl.all().rank("average").cast(pl.Float64))
    return Correlations(
        columns=names,
        pearson=_rows(correlation_matrix(values.to_numpy())),
        spearman=_rows(correlation_matrix(ranks.to_numpy())),
    )


def _rows(matrix: Matrix) -> list[list[float | None]]:
    return [[round(float(value), 4) if np.isfinite(value) else None for value in row] for row in matrix]


def cramers_v(left: Codes, right: Codes) -> float:
    """Return Cramér's V with the bias correction of Bergsma (2013, J. Korean Stat. Soc. 42:323)."""
    table = contingency(left, right, MOST_VALUES)
    rows = table.sum()
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / rows
    phi = float(((table - expected) ** 2 / expected).sum() / rows)
    height, width = table.shape
    corrected = max(0.0, phi - (height - 1) * (width - 1) / (rows - 1))
    height_ = height - (height - 1) ** 2 / (rows - 1)
    width_ = width - (width - 1) ** 2 / (rows - 1)
    least = min(height_, width_) - 1
    return min(1.0, float(np.sqrt(corrected / least))) if least > 0 else 0.0


def correlation_ratio(numbers: Matrix, codes: Codes) -> float:
    """Return how much of a number's spread the category explains (eta, 0 to 1, epsilon-squared corrected)."""
    known = np.isfinite(numbers)
    values, groups = numbers[known], codes[known]
    if len(values) < LEAST_ROWS:
        return 0.0
    counts = np.bincount(groups)
    sums = np.bincount(groups, weights=values - values.mean())
    used = counts > 0
    between = float((sums[used] ** 2 / counts[used]).sum())
    total = float(((values - values.mean()) ** 2).sum())
    free = len(values) - int(used.sum())
    if total <= 0 or free <= 0:
        return 0.0
    share = 1 - (total - between) / total * (len(values) - 1) / free
    return float(np.sqrt(min(1.0, max(0.0, share))))


def associations(
    found: Correlations, sample: pl.DataFrame, codes: dict[str, Codes], categories: list[str]
) -> list[Association]:
    """Return the strongest links, at most `KEPT`, each pair with its most telling measure."""
    links = _numeric_links(found)
    categories = categories[:MOST_CATEGORIES]
    for index, left in enumerate(categories):
        for right in categories[index + 1 :]:
            links.append((left, right, "cramers_v", cramers_v(codes[left], codes[right])))
        for number in found.columns:
            ratio = correlation_ratio(sample[number].cast(pl.Float64).to_numpy(), codes[left])
            links.append((number, left, "correlation_ratio", ratio))
    strong = [item for item in links if abs(item[3]) >= WORTH_MENTIONING]
    strong.sort(key=lambda item: (-abs(item[3]), item[0], item[1]))
    return [
        Association.model_validate({"left": left, "right": right, "measure": measure, "value": round(value, 4)})
        for left, right, measure, value in strong[:KEPT]
    ]


def _numeric_links(found: Correlations) -> list[tuple[str, str, str, float]]:
    links = []
    for row, left in enumerate(found.columns):
        for column in range(row + 1, len(found.columns)):
            linear, ranked = found.pearson[row][column], found.spearman[row][column]
            if linear is not None and ranked is not None:
                measure, value = ("pearson", linear) if abs(linear) >= abs(ranked) else ("spearman", ranked)
                links.append((left, found.columns[column], measure, value))
    return links
