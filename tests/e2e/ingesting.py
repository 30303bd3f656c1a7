"""An Airflow that reads data, which tests start and ask: connections, forms, runs, and the rows that come of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps, Runtime
from demo.home import Home
from demo.startup import wait_for_dag
from tests.crash.killing import KILL_FOLDER
from tests.services.airflow import RestAirflow, running_airflow

ROOT = Path(__file__).resolve().parents[2]
ROWS = [{"id": number, "city": ("北京", "Köln", "Oslo")[number % 3], "price": number / 4} for number in range(1, 41)]
RUN_TIMEOUT_S = 120
T = TypeVar("T")


class Ingest(NamedTuple):
    """A running Airflow that reads data, and its folder."""

    airflow: RestAirflow
    home: Home

    def by_form(self, kind: str, *, secret: str = "", **form: Any) -> dict[str, Any]:
        """Trigger a form over REST, wait for its run, and return the task's result; no log may hold `secret`."""
        dag_id = f"aimass_ingest_{kind}"
        run_id = self.airflow.trigger(dag_id, {"name": "orders", **form})
        self.finish(dag_id, run_id)
        assert not secret or secret not in self.logs(), "a secret is in the log"
        found: dict[str, Any] = self.airflow.result(dag_id, run_id, "ingest")
        return found

    def finish(self, dag_id: str, run_id: str, *, state: str = "success") -> None:
        """Wait until the run has ended, in `state`."""
        ended = until(lambda: self._ended(dag_id, run_id), f"the end of {dag_id}")
        assert ended == state, self.logs()[-4000:]

    def _ended(self, dag_id: str, run_id: str) -> str | None:
        state = str(self.airflow.run(dag_id, run_id)["state"])
        return state if state in ("success", "failed") else None

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG, first one first."""
        return list(self.airflow.get("dags", dag_id, "dagRuns", order_by="run_after")["dag_runs"])

    def begun(self, dag_id: str, number: int) -> str:
        """Return the id of the DAG's run `number`, from 0, once there is one."""
        found = until(lambda: self.runs(dag_id)[number:], f"run {number} of {dag_id}")
        return str(found[0]["dag_run_id"])

    def logs(self) -> str:
        """Return what all tasks have logged."""
        return "\n".join(path.read_text() for path in self.home.task_logs.rglob("*.log"))

    def rows(self, result: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of a dataset."""
        deps = Deps.from_runtime(Runtime(store=self.home.store.as_uri()))
        frame = open_dataset(result["uri"], deps).read(columns=["id", "city", "price"])
        return frame.sort("id").to_dicts()

    def told(self, asset: str) -> list[dict[str, Any]]:
        """Return what the events of the asset with that URI tell, first one first."""
        events = self.airflow.get("assets", "events", uri_pattern=asset, order_by="timestamp")["asset_events"]
        return [event["extra"] for event in events if event["uri"] == asset]


def until(found: Callable[[], T | None], what: str) -> T:
    """Return what `found` returns, once that is something."""
    deadline = time.monotonic() + RUN_TIMEOUT_S
    while True:
        # On a busy machine one write to SQLite holds all requests up for longer than a client waits.
        with contextlib.suppress(TimeoutError):
            if seen := found():
                return seen
        assert time.monotonic() < deadline, f"{what} did not come within {RUN_TIMEOUT_S} s"
        time.sleep(0.2)


@contextlib.contextmanager
def running_ingest(folder: Path, *dags: Path, pipelines: Mapping[str, str] | None = None) -> Iterator[Ingest]:
    """Yield an Airflow with the forms of ingest, where connections may be tested.

    Parameters
    ----------
    folder : Path
        Where it keeps everything.
    *dags : Path
        Further DAG files.
    pipelines : mapping, optional
        Pipelines by name.
    """
    for name in ("dags", "lake", "include/pipelines"):
        (folder / name).mkdir(parents=True)
    for file in (ROOT / "dags" / "aimass_ingest.py", ROOT / "dags" / "aimass_pipelines.py", *dags):
        shutil.copy(file, folder / "dags")
    for name, text in (pipelines or {}).items():
        (folder / "include" / "pipelines" / f"{name}.yaml").write_text(text)
    variables = {
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__AIMASS__NEW_DATA_POLL_S": "1",
        "AIRFLOW__AIMASS__FAILPOINTS": "tests.crash.killing:FileFailpoints",
        KILL_FOLDER: str(folder / "kills"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    more = ("triggerer",) if dags or pipelines else ()
    with running_airflow(folder / "airflow", folder / "dags", more=more, variables=variables) as (airflow, home):
        wait_for_dag(airflow, "aimass_ingest_files")
        yield Ingest(airflow, home)
