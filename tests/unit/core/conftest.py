"""Surroundings for stages that run in a folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimass.core.deps import Deps, Runtime


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    """A store in the test's folder."""
    runtime = Runtime(store=str(tmp_path / "store"), project="p", run_id="r1", spool_dir=str(tmp_path / "spool"))
    return Deps.from_runtime(runtime)
