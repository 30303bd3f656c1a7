"""The contract that every splitter keeps."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import polars as pl

from aimass.core.splitting.base import SHARES, Codes, Splitter


class SplitterContract:
    """What every splitter does; a test class inherits it and provides the fixtures `splitter` and `frame`.

    `splitter` is a function that makes a fresh splitter; `frame` has at least 100 rows that the splitter's rule can
    divide.
    """

    def test_every_share_has_rows(self, splitter: Callable[[], Splitter], frame: pl.DataFrame) -> None:
        """Training, validation and test all get something."""
        codes = split(splitter(), frame)
        assert set(codes.tolist()) == set(range(len(SHARES)))
        assert len(codes) == frame.height

    def test_training_has_most_rows(self, splitter: Callable[[], Splitter], frame: pl.DataFrame) -> None:
        """More than half of the rows train."""
        assert (split(splitter(), frame) == 0).mean() > 0.5

    def test_the_same_rows_are_split_alike(self, splitter: Callable[[], Splitter], frame: pl.DataFrame) -> None:
        """A retry, or a new process, finds the same shares."""
        assert np.array_equal(split(splitter(), frame), split(splitter(), frame))

    def test_batches_do_not_matter(self, splitter: Callable[[], Splitter], frame: pl.DataFrame) -> None:
        """However the rows are cut into batches, each goes to the same share."""
        whole = split(splitter(), frame)
        assert np.array_equal(whole, split(splitter(), frame, rows_per_batch=7))

    def test_boundaries_can_be_kept_as_json(self, splitter: Callable[[], Splitter], frame: pl.DataFrame) -> None:
        """The boundaries are part of the stage's result."""
        made = splitter()
        assert json.dumps(made.fit(frame.lazy().select(made.columns() or pl.all()), frame.height))


def split(splitter: Splitter, frame: pl.DataFrame, rows_per_batch: int = 1_000_000) -> Codes:
    """Fit `splitter` on all rows and return the share of each, shape (n_rows,)."""
    splitter.fit(frame.lazy().select(splitter.columns() or pl.all()), frame.height)
    pieces = [
        splitter.assign(frame.slice(start, rows_per_batch), start) for start in range(0, frame.height, rows_per_batch)
    ]
    return np.concatenate(pieces)
