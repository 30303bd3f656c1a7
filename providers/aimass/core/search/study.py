"""The study: every trial of a search in one database, shared by the parent that plans and the workers that try.

A trial's place is its round and its index in the round. The parent writes a round's trials as waiting, with their
points; a worker claims a number, sends heartbeats while it fits, and writes the score. Whoever is killed leaves either
a waiting trial or a running one without heartbeats: the next attempt takes up the same number, so no trial is lost,
doubled or left running.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from aimass.core.deps import Deps
from aimass.core.errors import AimassError, ConfigError, UnreachableError
from aimass.core.search.base import Observation, Proposal
from aimass.core.search.quiet import quiet_optuna

HEARTBEAT_S = 5
GRACE_S = 20
LOCK_TIMEOUT_S = 60
PLACE = "aimass_place"
POINT = "aimass_point"
OUTCOME = "aimass_outcome"

State = Literal["waiting", "running", "complete", "failed"]
_STATES: dict[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "failed",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class Trial:
    """One trial as the database has it.

    Attributes
    ----------
    number : int
        Its number in the study.
    round, index : int
        Its place.
    proposal : Proposal
        The point to try.
    state : {"waiting", "running", "complete", "failed"}
        How far it is.
    score : float, optional
        The metric on the validation part.
    outcome : dict
        What the worker noted: all metrics, or the reason of a failure.
    trial_id : int
        The database's own key.
    """

    number: int
    round: int
    index: int
    proposal: Proposal
    state: State
    score: float | None
    outcome: dict[str, Any]
    trial_id: int

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in ("complete", "failed")

    @property
    def observation(self) -> Observation:
        """What a strategy learns from it."""
        return Observation(self.proposal, self.score)


class StudyStore:
    """The trials of one study.

    Parameters
    ----------
    url : str
        SQLAlchemy URL; SQLite on a local disk, PostgreSQL or MySQL where workers run on several machines.
    name : str
        Name of the study; taken up again where it exists.
    maximize : bool
        Whether greater scores are better.

    Raises
    ------
    UnreachableError
        The database does not answer.
    ConfigError
        The URL is none, or its driver is not installed.
    """

    def __init__(self, url: str, name: str, *, maximize: bool) -> None:
        self.name = name
        direction = StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE
        with _storage_errors(url):
            self._storage = _open(url)
            try:
                with quiet_optuna():
                    self._id = self._storage.create_new_study([direction], name)
            except DuplicatedStudyError:
                self._id = self._storage.get_study_id_from_name(name)

    def trials(self) -> list[Trial]:
        """Return the trials that hold a place, in order of place."""
        with _storage_errors():
            found = self._storage.get_all_trials(self._id, deepcopy=False)
        places: dict[tuple[int, int], Trial] = {}
        for trial in (_trial(frozen) for frozen in found if PLACE in frozen.user_attrs):
            places.setdefault((trial.round, trial.index), trial)
        return [places[place] for place in sorted(places)]

    def add_round(
        self, round_index: int, count: int, propose: Callable[[], Sequence[Proposal]], passed: Callable[[str], None]
    ) -> list[Trial]:
        """Return the `count` trials of a round, in order; what is missing of it is proposed and written.

        `propose` gives the same points every time it is called for the round, so that a parent that was killed between
        two trials completes the round instead of asking for another one.
        """
        present = {trial.index for trial in self.trials() if trial.round == round_index}
        if len(present) < count:
            for index, proposal in enumerate(propose()):
                if index not in present:
                    passed("before_ask")
                    self._add(round_index, index, proposal)
                    passed("after_ask")
        return [trial for trial in self.trials() if trial.round == round_index]

    def claim(self, trial: Trial) -> None:
        """Take `trial` up; also one that an earlier attempt had begun."""
        with _storage_errors(), contextlib.suppress(UpdateFinishedTrialError):
            # The heartbeat comes first: Optuna never calls a running trial stale that has none at all.
            self._storage.record_heartbeat(trial.trial_id)
            self._storage.set_trial_state_values(trial.trial_id, TrialState.RUNNING)

    def finish(self, trial: Trial, *, score: float | None, outcome: dict[str, Any]) -> bool:
        """Write the score, or a failure where it is None; return False where another attempt was first."""
        with _storage_errors():
            try:
                self._storage.set_trial_user_attr(trial.trial_id, OUTCOME, outcome)
                if score is None:
                    return self._storage.set_trial_state_values(trial.trial_id, TrialState.FAIL)
                return self._storage.set_trial_state_values(trial.trial_id, TrialState.COMPLETE, [score])
            except UpdateFinishedTrialError:
                return False

    @contextlib.contextmanager
    def heartbeats(self, trial: Trial) -> Iterator[None]:
        """Record a heartbeat every few seconds while the block runs."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT_S):
                # A missed beat only makes the trial look stale; the score will tell whether the database lives.
                with contextlib.suppress(SQLAlchemyError, StorageInternalError):
                    self._storage.record_heartbeat(trial.trial_id)

        thread = threading.Thread(target=beat, name=f"heartbeat-{trial.number}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def tidy(self) -> None:
        """Put stale running trials back to waiting, and fail those without a place: nobody would ever finish them."""
        keep = {trial.trial_id for trial in self.trials()}
        with _storage_errors():
            for trial_id in self._storage._get_stale_trial_ids(self._id):
                if trial_id in keep:
                    self._set(trial_id, TrialState.WAITING)
            for frozen in self._storage.get_all_trials(self._id, deepcopy=False):
                if frozen._trial_id not in keep and not frozen.state.is_finished():
                    self._set(frozen._trial_id, TrialState.FAIL)

    def begun_at(self, now: float) -> float:
        """Return when the study began (seconds since 1970): `now` at the first call, the same ever after."""
        with _storage_errors():
            attributes = self._storage.get_study_user_attrs(self._id)
            if "begun_at" not in attributes:
                self._storage.set_study_user_attr(self._id, "begun_at", now)
                return now
            return float(attributes["begun_at"])

    def close(self) -> None:
        """Give the database's connections back."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _add(self, round_index: int, index: int, proposal: Proposal) -> None:
        template = optuna.trial.create_trial(
            state=TrialState.WAITING,
            user_attrs={
                PLACE: [round_index, index],
                POINT: {"family": proposal.family, "params": proposal.params},
            },
        )
        with _storage_errors():
            self._storage.create_new_trial(self._id, template)

    def _set(self, trial_id: int, state: TrialState) -> None:
        with contextlib.suppress(UpdateFinishedTrialError):
            self._storage.set_trial_state_values(trial_id, state)


@contextlib.contextmanager
def open_study(deps: Deps, name: str, *, maximize: bool) -> Iterator[StudyStore]:
    """Open the study called `name` where `deps` says that studies live."""
    study = StudyStore(study_url(deps, name), name, maximize=maximize)
    try:
        yield study
    finally:
        study.close()


def study_url(deps: Deps, name: str) -> str:
    """Return the URL of the study's database: the configured one, else a SQLite file of its own in the local store.

    Raises
    ------
    ConfigError
        The store is remote and no database is configured: SQLite does not work over a network.
    """
    if deps.runtime.study_storage:
        return deps.runtime.study_storage
    uri = deps.store.folder(deps.project, "studies", f"{name}.db")
    if not deps.store.is_local(uri):
        raise ConfigError(
            f"The store {deps.store.root} is remote, and SQLite cannot keep a study there",
            expected="study_storage with a SQLAlchemy URL, such as postgresql+psycopg2://host/studies",
            hint="Set study_storage in the runtime",
        )
    path = deps.store.local_path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path}"


def _open(url: str) -> RDBStorage:
    engine = {"creator": _sqlite(url)} if url.startswith("sqlite:///") else {"pool_pre_ping": True}
    with quiet_optuna():
        return RDBStorage(url, engine_kwargs=engine, heartbeat_interval=HEARTBEAT_S, grace_period=GRACE_S)


def _sqlite(url: str) -> Callable[[], sqlite3.Connection]:
    """Return what connects to a SQLite file.

    With a write-ahead log, readers do not wait for writers; what is committed outlives the process, and the file stays
    whole even when the machine dies.
    """
    path = make_url(url).database or ""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=LOCK_TIMEOUT_S, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    return connect


def _trial(frozen: FrozenTrial) -> Trial:
    round_index, index = frozen.user_attrs[PLACE]
    point = frozen.user_attrs[POINT]
    return Trial(
        number=frozen.number,
        round=round_index,
        index=index,
        proposal=Proposal(point["family"], point["params"]),
        state=_STATES[frozen.state],
        score=frozen.value if frozen.state is TrialState.COMPLETE else None,
        outcome=json.loads(json.dumps(frozen.user_attrs.get(OUTCOME, {}))),
        trial_id=frozen._trial_id,
    )


@contextlib.contextmanager
def _storage_errors(url: str = "") -> Iterator[None]:
    """Translate the database's errors; the URL's password is never part of a message."""
    try:
        yield
    except AimassError:
        raise
    except (ImportError, ArgumentError) as error:
        raise ConfigError(
            f"study_storage cannot be opened: {type(error).__name__}",
            expected="a SQLAlchemy URL whose driver is installed, such as postgresql+psycopg2://host/studies",
        ) from error
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error if isinstance(error, OperationalError) else error.__cause__ or error
        raise UnreachableError(
            f"The study's database does not answer: {type(cause).__name__}",
            hint="Check that the database runs and that the disk has space, then retry",
            scheme=url.partition(":")[0],
        ) from error
