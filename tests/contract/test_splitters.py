"""Every split rule keeps the same promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from aimass.core.backends import backend_of
from aimass.core.splitting import SPLITTERS
from aimass.core.splitting.base import Splitter
from aimass.core.testing.splitters import SplitterContract

SETTINGS: dict[str, dict[str, Any]] = {
    "time": {"column": "time"},
    "group": {"column": "group"},
    "stratified": {"column": "class"},
    "random": {"seed": 7},
    "k_fold": {"folds": 4, "fold": 3},
}


@pytest.mark.parametrize("name", SPLITTERS.names())
class TestSplitters(SplitterContract):
    @pytest.fixture
    def frame(self) -> pl.DataFrame:
        numbers = pl.int_range(500, eager=True)
        return pl.DataFrame({"time": numbers * 7 % 90, "group": numbers % 23, "class": numbers % 3 == 0})

    @pytest.fixture
    def splitter(self, name: str) -> Callable[[], Splitter]:
        backend, settings = backend_of(SPLITTERS, {"type": name, **SETTINGS[name]})
        return lambda: backend(settings)
