"""What one column alone says about the target: AUC, mutual information, and the AUC of being missing.

The target becomes one yes-or-no question: the positive class (binary), the most frequent class against the rest
(several classes), above the median (numbers). Every measure works on small integer codes of the values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from aimass.core.errors import TargetError
from aimass.core.exploration.profile import LabelLink, TargetProfile, ValueCount
from aimass.core.texts import Text, say

Codes = npt.NDArray[np.int64]
Labels = npt.NDArray[np.int8]

NUMBER_BINS = 48
INFORMATION_VALUES = 30
PRIOR_ROWS = 5.0
MOST_CLASSES = 20
LEAST_ROWS_PER_CLASS = 10


@dataclass(frozen=True)
class Target:
    """The target as a yes-or-no question over the rows of the sample.

    Attributes
    ----------
    profile : TargetProfile
        What it is.
    labels : array, shape (n_sample_rows,), int8
        1 for positive.
    """

    profile: TargetProfile
    labels: Labels


def read_target(name: str, values: pl.Series, classes: list[ValueCount], positive: str | None = None) -> Target:
    """Return the target's question.

    Parameters
    ----------
    name : str
        Name of the target column.
    values : polars.Series
        Its values in the sample, without nulls.
    classes : list of ValueCount
        Its values over the whole training part, most frequent first.
    positive : str, optional
        The positive class, if the dataset names one.

    Raises
    ------
    TargetError
        The target is constant.
    """
    known = [item.value for item in classes]
    if values.n_unique() < 2 and len(known) < 2:
        only = known[0] if known else values[0]
        raise TargetError(
            f"The target {name!r} has the single value {only!r} in the training part",
            expected="at least two values: there is nothing to learn from one",
            hint="Check the target's expression and the split",
            column=name,
        )
    if values.dtype.is_numeric() and not 2 <= len(known) <= MOST_CLASSES:
        median = float(values.median())  # type: ignore[arg-type]
        labels = (values > median).to_numpy().astype(np.int8)
        return _target(name, "regression", say("> {median:g} (the median)", median=median), labels, [])
    texts = values.map_elements(_class_text, return_dtype=pl.String) if values.dtype.is_numeric() else values
    if len(known) == 2:
        # A yes-or-no positive is tagged as Python spells it ("True"), the values are read as polars does ("true").
        named = next((value for value in known if positive is not None and value.lower() == positive.lower()), None)
        chosen = named or max(known)
        return _target(name, "binary", chosen, (texts == chosen).to_numpy().astype(np.int8), classes)
    labels = (texts == known[0]).to_numpy().astype(np.int8)
    positive_class = say("{value} (the most frequent class)", value=known[0])
    return _target(name, "multiclass", positive_class, labels, classes)


def _target(name: str, task: str, positive: str | Text, labels: Labels, classes: list[ValueCount]) -> Target:
    share = float(labels.mean())
    profile = TargetProfile.model_validate(
        {
            "name": name,
            "task": task,
            "positive": str(positive),
            "said": positive if isinstance(positive, Text) else None,
            "positive_share": share,
            "classes": classes,
        }
    )
    return Target(profile, labels)


def _class_text(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)


def encode(values: pl.Series) -> Codes:
    """Return small integers for the values: equal-frequency bins of numbers, one per text; null has the last."""
    if values.dtype.is_numeric():
        return bin_numbers(values.to_numpy())
    codes = values.rank("dense").to_numpy()
    missing = ~np.isfinite(codes.astype(float))
    filled = np.where(missing, np.nanmax(codes, initial=0) + 1, codes).astype(np.int64)
    return filled - 1


def bin_numbers(values: npt.NDArray[np.float64]) -> Codes:
    """Return the equal-frequency bin of each number, at most `NUMBER_BINS` of them; NaN has a bin of its own."""
    values = values.astype(np.float64)
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values), dtype=np.int64)
    inner = np.quantile(values[known], np.linspace(0, 1, NUMBER_BINS + 1)[1:-1])
    edges = np.unique(inner)
    return np.where(known, np.searchsorted(edges, values, side="left"), len(edges) + 1).astype(np.int64)


def single_column_auc(codes: Codes, labels: Labels) -> float:
    """Return the AUC of the best ranking that the codes give, at least about 0.5.

    Each half of the rows is scored with the smoothed positive rates of the other half, so that a column of many values
    (an identifier) cannot learn the labels by heart.
    """
    fold = np.arange(len(codes)) % 2
    width = int(codes.max(initial=0)) + 1
    rows = np.array([np.bincount(codes[fold == half], minlength=width) for half in (0, 1)], dtype=float)
    hits = np.array(
        [np.bincount(codes[fold == half], weights=labels[fold == half], minlength=width) for half in (0, 1)]
    )
    prior = labels.mean()
    rates = (hits[::-1] + PRIOR_ROWS * prior) / (rows[::-1] + PRIOR_ROWS)
    return _auc_of_groups(rates.ravel(), rows.ravel(), hits.ravel())


def missing_auc(missing: npt.NDArray[np.bool_], labels: Labels) -> float:
    """Return the AUC of missingness as a score, in whichever direction works."""
    positive, negative = missing[labels == 1].mean(), missing[labels == 0].mean()
    return float(0.5 + abs(positive - negative) / 2)


def _auc_of_groups(
    scores: npt.NDArray[np.float64], rows: npt.NDArray[np.float64], hits: npt.NDArray[np.float64]
) -> float:
    """Return the AUC of groups of rows that share a score: the Mann-Whitney statistic with ties counted half."""
    order = np.argsort(scores, kind="stable")
    _, starts = np.unique(scores[order], return_index=True)
    positive = np.add.reduceat(hits[order], starts)
    negative = np.add.reduceat((rows - hits)[order], starts)
    total = positive.sum() * negative.sum()
    if total == 0:
        return 0.5
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / total)


def auc_error(auc: float, labels: Labels) -> float:
    """Return the standard error of an AUC (Hanley and McNeil 1982, Radiology 143:29)."""
    positive = int(labels.sum())
    negative = len(labels) - positive
    if min(positive, negative) == 0:
        return 0.5
    one, two = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positive - 1) * (one - auc**2) + (negative - 1) * (two - auc**2)
    return math.sqrt(max(spread, 0.25 / max(positive, negative)) / (positive * negative))


def information_share(codes: Codes, labels: Labels) -> float:
    """Return the mutual information with the label as a share of the label's entropy, corrected for small counts.

    Rare values beyond the `INFORMATION_VALUES` most frequent count as one; the bias (r - 1)(c - 1) / 2n is taken off
    (Miller and Madow).
    """
    table = contingency(codes, labels.astype(np.int64), INFORMATION_VALUES)
    rows = table.sum()
    joint = table / rows
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.nansum(joint * np.log(joint / expected))
        shares = joint.sum(axis=0)
        entropy = -np.nansum(shares * np.log(shares))
    bias = (table.shape[0] - 1) * (table.shape[1] - 1) / (2 * rows)
    return float(min(1.0, max(0.0, (information - bias) / entropy))) if entropy > 0 else 0.0


def contingency(left: Codes, right: Codes, most: int) -> npt.NDArray[np.float64]:
    """Return the counts of code pairs, empty rows and columns left out; rare codes beyond `most` share one."""
    left, right = _dense(left, most), _dense(right, most)
    width = int(right.max()) + 1
    counts = np.bincount(left * width + right, minlength=(int(left.max()) + 1) * width)
    return counts.reshape(-1, width).astype(np.float64)


def _dense(codes: Codes, most: int) -> Codes:
    counts = np.bincount(codes)
    order = np.argsort(-counts, kind="stable")
    ranks = np.empty(len(counts), dtype=np.int64)
    ranks[order] = np.arange(len(counts))
    return np.minimum(ranks[codes], most)


def link(codes: Codes, missing: npt.NDArray[np.bool_], labels: Labels) -> LabelLink:
    """Return all measures of one column against the target."""
    auc = max(0.5, single_column_auc(codes, labels))
    return LabelLink(
        auc=auc,
        auc_error=auc_error(auc, labels),
        information=information_share(codes, labels),
        missing_auc=missing_auc(missing, labels),
    )
