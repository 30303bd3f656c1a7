"""What happens after the release: the model is served, improved, fed nonsense, and comes back by itself."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from demo.errors import DemoError
from demo.home import REPOSITORY, USER, Home
from demo.replay import Replay
from demo.rest import Airflow
from demo.services import LATE, NEEDED, Services
from demo.startup import wait_for_dag
from demo.traffic import LATER_COLUMN, PIPELINE, later_flights, mirrored

if TYPE_CHECKING:
    from aimass.core.endpoints.base import Endpoint
    from aimass.core.monitoring.result import MonitorResult
    from aimass.core.storage import Store

MODEL, PROJECT, ALIAS = "flights_late", "flights", "champion"
FLIGHTS_DAG, MONITOR_DAG = "aimass_flights", "aimass_monitor_flights_late"
WATCH_FILE = REPOSITORY / "include" / "alerts" / "flights_late.yaml"
# Its months pass in minutes, and its server writes the log down every few seconds.
PACE = {"schedule": "* * * * *", "window_minutes": 1, "settle_s": 20}
# April to June, every second flight: about 19 requests in a second, and one of the flights' days lasts 24 seconds.
# Three bad windows bring the version before back: in time even where a slow machine judges every second one.
MINUTES, DAYS, EVERY = 36, 91, 2
# Once the model has recovered there is nothing more to see.
HURRY = 6
HEALTHY_WINDOWS, RECOVERED_WINDOWS = 3, 2
STEP_TIMEOUT_S = 900.0
POLL_S = 1.0


@dataclass
class Story:
    """Tells it, a line at a time.

    Parameters
    ----------
    home : Home
        A demo whose pipeline has released its first version.
    services : Services
        Of that demo.
    airflow : Airflow
        A logged-in client.
    endpoint : Endpoint
        The inference server.
    store : Store
        Where windows are kept.
    """

    home: Home
    services: Services
    airflow: Airflow
    endpoint: Endpoint
    store: Store
    _windows: list[MonitorResult] = field(default_factory=list)

    @classmethod
    def of(cls, home: Home) -> Story:
        """Return the story of the demo in `home`."""
        from aimass.core.backends import backend_of
        from aimass.core.deps import Deps, Runtime
        from aimass.core.endpoints import ENDPOINTS

        backend, settings = backend_of(ENDPOINTS, {"type": "http", "url": home.serving_url})
        runtime = Runtime(store=str(home.store), project=PROJECT, run_id="story")
        store = Deps.from_runtime(runtime, purpose="demo").store
        airflow = Airflow(home.airflow_url, USER, home.secrets["password"])
        return cls(home, Services(home), airflow, backend(settings), store)

    def tell(self) -> None:
        """Go from the first release to the recovery; raise DemoError where something does not come about."""
        self._until(self.endpoint.is_ready, "the inference server is ready")
        first = self._until(self._serving, f"{MODEL} is served")
        self._say(f"version {first} of {MODEL} is served at {self.home.serving_url}")
        try:
            self._watch()
            with self._traffic() as replay:
                self._go_wrong_and_recover(first, replay)
            self._say(f"the story has ended: {_counts(replay)}")
            self._say(f"see {self.home.airflow_url}/aimass/models/{MODEL}/monitor")
        finally:
            # A window of a minute is a lot of work on a small machine, and nobody asks any more.
            self.airflow.pause(MONITOR_DAG)
            self._say(f"{MONITOR_DAG} rests until you unpause it")

    def _go_wrong_and_recover(self, first: str, replay: Replay) -> None:
        second = self._improve(first)
        self._await(lambda: self._serving() == second, "the server has switched to the new version", replay)
        self._say(f"the server has switched to version {second}; answers so far: {_counts(replay)}")
        self._await(lambda: self._judged(second) >= HEALTHY_WINDOWS, "some good windows", replay)
        replay.feed = mirrored
        self._say(f"from {replay.at:%d %B} on, the feed of {LATER_COLUMN} counts minutes early instead of late")
        self._await(lambda: self._serving() == first, f"a rule has brought version {first} back", replay)
        self._say(f"a rule has fired: version {first} answers again; answers so far: {_counts(replay)}")
        before = self._judged(first)
        self._await(lambda: self._judged(first) >= before + RECOVERED_WINDOWS, "windows of recovery", replay)
        replay.speed *= HURRY
        self._say("recovered; the remaining flights pass by quickly")
        self._await(lambda: False, "the end of June", replay, may_end=True)

    def _watch(self) -> None:
        """Put the watch file where Airflow looks, and wait for the DAG that it is."""
        watch = {**yaml.safe_load(WATCH_FILE.read_text()), **PACE}
        (self.home.alerts / WATCH_FILE.name).write_text(yaml.safe_dump(watch, sort_keys=False))
        wait_for_dag(self.airflow, MONITOR_DAG)
        self._say(f"{MONITOR_DAG} looks at it every minute")

    def _improve(self, first: str) -> str:
        """Have the pipeline learn from one column more; return the number of the version that it releases."""
        conf = improvement()
        run_id = self.airflow.trigger(FLIGHTS_DAG, conf)
        self._say(f"{FLIGHTS_DAG} runs again with {LATER_COLUMN}, which is known once the plane has left: {run_id}")
        self._until(lambda: self.airflow.run(FLIGHTS_DAG, run_id)["state"] in ("success", "failed"), "the run ends")
        released = self.airflow.result(FLIGHTS_DAG, run_id, "release")
        if released is None or released["version"] in (None, first):
            raise DemoError(f"The run {run_id} of {FLIGHTS_DAG} released no second version: see its tasks in Airflow.")
        self._say(f"version {released['version']} is released: AUC {released['metrics']['auc']:.3f} on the test part")
        return str(released["version"])

    @contextlib.contextmanager
    def _traffic(self) -> Iterator[Replay]:
        """Have flights asked about in the background."""
        flights = later_flights(self.home.folder / "traffic", every=EVERY)
        replay = Replay(self.endpoint, MODEL, flights, speed=DAYS / (MINUTES * 60))
        stop = threading.Event()
        thread = threading.Thread(target=replay.run, args=(stop,), daemon=True)
        thread.start()
        self._say("the flights of April to June are asked about in the order of their departures")
        try:
            yield replay
        finally:
            stop.set()
            thread.join()

    def _serving(self) -> str | None:
        """Return the version that answers, or None."""
        from aimass.core.errors import AimassError

        try:
            served = self.endpoint.status().model(MODEL)
        except AimassError:
            return None
        return served.aliases.get(ALIAS) if served else None

    def _judged(self, version: str) -> int:
        """Return how many windows tell of the quality of `version`."""
        return sum(window.version == version and "auc" in window.metrics for window in self._windows)

    def _tell_windows(self) -> None:
        """Tell of the windows that have been judged since the last time."""
        from aimass.core.monitoring.result import read_windows

        last = self._windows[-1].start if self._windows else None
        for window in read_windows(self.store, PROJECT, MODEL, since=last):
            if window.start != last:
                self._windows.append(window)
                self._say(window_line(window))

    def _await(self, condition: Callable[[], Any], what: str, replay: Replay, *, may_end: bool = False) -> None:
        """Wait for `condition` while flights are asked about."""
        self._until(lambda: condition() or replay.ended, what)
        if replay.ended and not may_end and not condition():
            raise DemoError(f"The flights of June have ended before {what}. {replay.last_failure}")

    def _until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until `condition` holds; return what it returned."""
        deadline = time.monotonic() + STEP_TIMEOUT_S
        while not (found := condition()):
            self.services.check_alive({*NEEDED, *LATE})
            self._tell_windows()
            if time.monotonic() > deadline:
                raise DemoError(f"Waited {STEP_TIMEOUT_S / 60:.0f} minutes in vain until {what}.")
            time.sleep(POLL_S)
        return found

    def _say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def improvement() -> dict[str, Any]:
    """Return the conf of the second run: one column more, one small model, few trials."""
    from aimass.pipelines.load import load_pipeline

    columns = load_pipeline(PIPELINE).columns or ()
    return {
        "columns": [*columns, LATER_COLUMN],
        "train": {"models": [{"type": "lightgbm", "n_estimators": 100, "learning_rate": 0.1}]},
        "optimize": {"rounds": 1, "trials": 2, "workers": 1},
    }


def window_line(window: MonitorResult) -> str:
    """Return what a window found, in a line."""
    when = f"window {window.start:%H:%M} UTC"
    if window.no_data:
        return f"{when}: too few answers to judge ({window.rows})"
    parts = [f"{when}: version {window.version}, {window.rows:,} answers"]
    if "auc" in window.metrics:
        parts.append(f"AUC {window.metrics['auc']:.3f}")
    if window.drift is not None:
        parts.append(f"drifted: {', '.join(window.drift.drifted) or 'nothing'}")
    return ", ".join(parts)


def _counts(replay: Replay) -> str:
    answers = ", ".join(f"{count:,} by version {version}" for version, count in sorted(replay.sent.items()))
    return f"{answers or 'none'}, {replay.failed} failed"
