from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from aimass.core.errors import TargetError
from aimass.core.exploration import label
from aimass.core.exploration.profile import ValueCount

RNG = np.random.default_rng(7)
LABELS = (RNG.random(4_000) < 0.3).astype(np.int8)


def counted(*items: tuple[str, int]) -> list[ValueCount]:
    return [ValueCount(value=value, count=count) for value, count in items]


def test_a_monotone_column_has_the_auc_of_its_ranking() -> None:
    values = LABELS + RNG.normal(size=LABELS.size)
    auc = label.single_column_auc(label.bin_numbers(values), LABELS)
    assert auc == pytest.approx(roc_auc_score(LABELS, values), abs=0.02)


def test_a_column_that_is_high_in_the_middle_is_seen() -> None:
    values = np.where(LABELS == 1, RNG.normal(0, 0.1, LABELS.size), RNG.normal(0, 3, LABELS.size))
    assert abs(roc_auc_score(LABELS, values) - 0.5) < 0.05
    assert label.single_column_auc(label.bin_numbers(values), LABELS) > 0.9


def test_an_identifier_cannot_learn_the_labels_by_heart() -> None:
    codes = label.encode(pl.Series([f"id{i}" for i in range(LABELS.size)]))
    assert label.single_column_auc(codes, LABELS) == pytest.approx(0.5, abs=0.03)
    assert label.information_share(codes, LABELS) < 0.01


def test_missing_values_have_a_code_of_their_own() -> None:
    texts = label.encode(pl.Series(["b", None, "a", "b"]))
    assert texts.tolist() == [1, 2, 0, 1]
    assert label.encode(pl.Series([None, None], dtype=pl.String)).tolist() == [0, 0]
    numbers = label.encode(pl.Series([1.0, None, 5.0]))
    assert numbers[1] == numbers.max()
    assert len(set(numbers.tolist())) == 3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=80))
def test_measures_stay_in_their_range(rows: list[tuple[int, bool]]) -> None:
    codes = np.array([code for code, _ in rows], dtype=np.int64)
    labels = np.array([positive for _, positive in rows], dtype=np.int8)
    if 0 < labels.sum() < len(labels):
        found = label.link(codes, codes == 0, labels)
        assert 0.5 <= found.auc <= 1
        assert 0.5 <= found.missing_auc <= 1
        assert 0 <= found.information <= 1
        assert 0 < found.auc_error <= 0.5


@pytest.mark.parametrize(
    ("values", "classes", "task", "positive"),
    [
        (pl.Series(["true", "false"]), counted(("false", 1), ("true", 1)), "binary", "true"),
        (pl.Series([0.0, 1.0, 1.0]), counted(("1", 2), ("0", 1)), "binary", "1"),
        (
            pl.Series(["a", "b", "c"]),
            counted(("b", 1), ("a", 1), ("c", 1)),
            "multiclass",
            "b (the most frequent class)",
        ),
        (pl.Series([float(i) for i in range(99)]), [], "regression", "> 49 (the median)"),
    ],
)
def test_the_target_becomes_one_question(
    values: pl.Series, classes: list[ValueCount], task: str, positive: str
) -> None:
    target = label.read_target("y", values, classes)
    assert (target.profile.task, target.profile.positive) == (task, positive)
    assert 0 < target.labels.mean() < 1


def test_the_positive_class_may_be_named() -> None:
    values, classes = pl.Series(["true", "false", "false"]), counted(("false", 2), ("true", 1))
    assert label.read_target("y", values, classes, positive="False").profile.positive == "false"


def test_a_constant_target_is_refused() -> None:
    with pytest.raises(TargetError, match="single value 'a'"):
        label.read_target("y", pl.Series(["a", "a"]), counted(("a", 2)))
