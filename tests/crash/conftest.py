"""How many kills: `--crash-points N`, or the variable AIMASS_CRASH_POINTS, or 60."""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the number of kills and the seed that they are drawn with."""
    points = int(os.environ.get("AIMASS_CRASH_POINTS", "60"))
    parser.addoption("--crash-points", type=int, default=points, help="number of kills (default: %(default)s)")
    parser.addoption("--crash-seed", type=int, default=int(os.environ.get("AIMASS_CRASH_SEED", "20261")), help="seed")
