from __future__ import annotations

import itertools

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core.splitting.base import uniform
from aimass.core.splitting.group import GroupSettings, GroupSplitter
from aimass.core.splitting.k_fold import KFoldSettings, KFoldSplitter
from aimass.core.splitting.random import RandomSettings, RandomSplitter
from aimass.core.splitting.stratified import StratifiedSettings, StratifiedSplitter
from aimass.core.splitting.time import TimeSettings, TimeSplitter
from aimass.core.testing.splitters import split


@given(seed=st.integers(0, 2**32), first=st.integers(0, 1_000), n_rows=st.integers(0, 50))
def test_uniform_depends_on_the_row_number_alone(seed: int, first: int, n_rows: int) -> None:
    assert np.array_equal(uniform(seed, first, n_rows), uniform(seed, 0, first + n_rows)[first:])


def test_random_shares_are_exact() -> None:
    codes = split(RandomSplitter(RandomSettings(validation=0.1, test=0.25)), pl.DataFrame({"a": range(1_000)}))
    assert np.bincount(codes).tolist() == [650, 100, 250]


def test_stratified_keeps_the_mix_of_rare_classes_and_of_null() -> None:
    classes = ["rare"] * 20 + [None] * 40 + ["common"] * 940
    frame = pl.DataFrame({"c": classes})
    frame = frame.with_columns(code=split(StratifiedSplitter(StratifiedSettings(column="c")), frame))
    counts = {key[0]: part["code"].value_counts().sort("code")["count"].to_list() for key, part in frame.group_by("c")}
    assert counts == {"rare": [14, 3, 3], None: [28, 6, 6], "common": [658, 141, 141]}


def test_groups_are_never_torn() -> None:
    frame = pl.DataFrame({"g": [None if i % 29 == 0 else i % 29 for i in range(2_000)]})
    frame = frame.with_columns(code=split(GroupSplitter(GroupSettings(column="g")), frame))
    assert frame.group_by("g").agg(pl.col("code").n_unique())["code"].max() == 1


def test_folds_share_one_test_and_cover_the_rest() -> None:
    frame = pl.DataFrame({"a": range(1_000)})
    codes = [split(KFoldSplitter(KFoldSettings(folds=4, fold=fold)), frame) for fold in range(4)]
    tests = [np.flatnonzero(code == 2).tolist() for code in codes]
    validations = [np.flatnonzero(code == 1).tolist() for code in codes]
    assert tests.count(tests[0]) == 4
    assert len(tests[0]) == 150
    assert sorted(itertools.chain(*validations)) == sorted(set(range(1_000)) - set(tests[0]))
    assert max(map(len, validations)) - min(map(len, validations)) <= 1


@settings(deadline=None)
@given(times=st.lists(st.integers(-5, 5), min_size=3, max_size=60))
def test_time_never_lets_an_older_row_judge_a_newer_one(times: list[int]) -> None:
    frame = pl.DataFrame({"t": times}, schema={"t": pl.Int64})
    codes = split(TimeSplitter(TimeSettings(column="t")), frame)
    order = np.argsort(times, kind="stable")
    assert (np.diff(codes[order]) >= 0).all()
    for moment in set(times):
        assert len({int(code) for time, code in zip(times, codes, strict=True) if time == moment}) == 1
