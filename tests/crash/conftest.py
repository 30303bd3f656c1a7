"""How many kills: `--crash-points N`, or the variable AIMASS_CRASH_POINTS, or 60; of a source's reads, 40."""

from __future__ import annotations

import os

import pytest

POINTS = 60
READ_POINTS = 40


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the number of kills and the seed that they are drawn with."""
    points = int(os.environ.get("AIMASS_CRASH_POINTS", "0")) or None
    said = f"number of kills of a test (default: {POINTS}, and {READ_POINTS} of the reads of a source)"
    parser.addoption("--crash-points", type=int, default=points, help=said)
    parser.addoption("--crash-seed", type=int, default=int(os.environ.get("AIMASS_CRASH_SEED", "20261")), help="seed")


def pytest_configure(config: pytest.Config) -> None:
    """Settle the two numbers: what is given counts for all tests."""
    given = config.option.crash_points
    config.option.crash_points = given or POINTS
    config.option.read_points = given or READ_POINTS
