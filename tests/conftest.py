"""What every test stands on: a private Airflow home, no telemetry, and skips that CI does not accept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
# In these rooms the tests of a file, or of a folder for one kind of server, share something that costs minutes.
KEPT_TOGETHER = ("browser", "crash", "dags", "e2e", "integration", "packaging")

# Airflow, MLflow and the others read these when they are first imported, so they stand before any such import.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="aimass-airflow-home-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(ROOT / "dags")
os.environ["DO_NOT_TRACK"] = "1"
os.environ["GX_ANALYTICS_ENABLED"] = "False"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MPLBACKEND"] = "Agg"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure(config: pytest.Config) -> None:
    """Remove the Airflow home when the run is over."""
    import shutil

    home = os.environ["AIRFLOW_HOME"]
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares a server, or a run of one, on one worker: another worker would start it once more."""
    for item in items:
        room, *inner = item.path.relative_to(TESTS).parts
        if room in KEPT_TOGETHER and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(inner[0].removesuffix(".py")))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped integration test into a failure in CI: there a missing server is a hole, not a convenience."""
    report = yield
    if os.environ.get("CI") and report.skipped and item.get_closest_marker("integration") and call.excinfo:
        report.outcome = "failed"
        report.longrepr = f"CI accepts no skip of an integration test: {call.excinfo.value}"
    return report


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder of the checkout."""
    return ROOT
