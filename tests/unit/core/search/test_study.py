from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from aimass.core.deps import Deps, Runtime
from aimass.core.errors import ConfigError, UnreachableError
from aimass.core.search import study as module
from aimass.core.search.base import Proposal
from aimass.core.search.rounds import share_out
from aimass.core.search.study import StudyStore, Trial, study_url

POINTS = [Proposal("tree", {"depth": depth}) for depth in range(4)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('studies')}/studies.db"


@pytest.fixture
def study(url: str, request: pytest.FixtureRequest) -> Iterator[StudyStore]:
    opened = StudyStore(url, request.node.name, maximize=True)
    yield opened
    opened.close()


def ask(study: StudyStore, round_index: int = 0) -> list[Trial]:
    return study.add_round(round_index, len(POINTS), lambda: POINTS, lambda _: None)


def states(study: StudyStore) -> list[str]:
    return [trial.state for trial in study.trials()]


def test_a_round_is_written_once(study: StudyStore) -> None:
    assert [trial.proposal for trial in ask(study)] == POINTS
    assert [trial.number for trial in ask(study)] == [0, 1, 2, 3]
    assert len(study.trials()) == 4


def test_a_round_that_was_cut_off_is_completed(study: StudyStore) -> None:
    def die(point: str) -> None:
        if point == "after_ask" and len(study.trials()) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.add_round(0, len(POINTS), lambda: POINTS, die)
    assert len(study.trials()) == 2
    assert [trial.proposal for trial in ask(study)] == POINTS


def test_a_trial_is_finished_once(study: StudyStore) -> None:
    trial = ask(study)[0]
    study.claim(trial)
    assert study.finish(trial, score=0.5, outcome={"metrics": {"auc": 0.5}})
    assert not study.finish(trial, score=0.9, outcome={"metrics": {"auc": 0.9}})
    study.claim(trial)
    [done, *_] = study.trials()
    assert (done.state, done.score, done.outcome) == ("complete", 0.5, {"metrics": {"auc": 0.5}})


def test_a_trial_that_was_begun_is_taken_up_under_its_number(study: StudyStore) -> None:
    trial = ask(study)[1]
    study.claim(trial)
    study.claim(trial)
    assert states(study) == ["waiting", "running", "waiting", "waiting"]
    with study.heartbeats(trial):
        assert study.finish(trial, score=None, outcome={"reason": "no"})
    assert states(study)[1] == "failed"


def test_a_stale_trial_waits_again_and_a_lively_one_does_not(url: str, study: StudyStore) -> None:
    stale, lively, *_ = ask(study)
    for trial in (stale, lively):
        study.claim(trial)
    with study._storage.engine.begin() as connection:
        connection.exec_driver_sql(
            "update trial_heartbeats set heartbeat = datetime('now', '-1 hour') where trial_id = ?", (stale.trial_id,)
        )
    study.tidy()
    assert states(study) == ["waiting", "running", "waiting", "waiting"]


def test_a_running_trial_always_has_a_heartbeat(study: StudyStore) -> None:
    """Optuna never calls a running trial stale that has none: it would run for ever."""
    trial = ask(study)[0]
    study.claim(trial)
    with study._storage.engine.begin() as connection:
        counted = "select count(*) from trial_heartbeats where trial_id = ?"
        assert connection.exec_driver_sql(counted, (trial.trial_id,)).scalar() == 1


def test_a_trial_without_a_place_is_failed(study: StudyStore) -> None:
    ask(study)
    storage = study._storage
    stray = storage.create_new_trial(study._id)
    twin = storage.create_new_trial(
        study._id,
        optuna.trial.create_trial(
            state=TrialState.WAITING, user_attrs={module.PLACE: [0, 0], module.POINT: {"family": "x", "params": {}}}
        ),
    )
    study.tidy()
    assert {storage.get_trial(one).state for one in (stray, twin)} == {TrialState.FAIL}
    assert states(study) == ["waiting"] * 4


def test_the_beginning_is_kept(study: StudyStore) -> None:
    assert study.begun_at(10.0) == 10.0
    assert study.begun_at(99.0) == 10.0


def test_two_studies_in_one_database_do_not_meet(url: str, study: StudyStore) -> None:
    ask(study)
    other = StudyStore(url, "another one", maximize=False)
    assert other.trials() == []
    other.close()


def test_a_dead_database_is_unreachable_and_its_password_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        StudyStore(f"sqlite:///{tmp_path}/no/such/folder/s.db", "x", maximize=True)
    assert "does not answer" in str(caught.value)
    with pytest.raises(ConfigError) as refused:
        StudyStore("nosuch+driver://user:secret@host/db", "x", maximize=True)
    assert "secret" not in str(refused.value)


def test_a_remote_store_needs_a_database() -> None:
    with pytest.raises(ConfigError, match="study_storage"):
        study_url(Deps.from_runtime(Runtime(store="memory://bucket")), "x")
    given = Runtime(store="memory://bucket", study_storage="postgresql+psycopg2://host/studies")
    assert study_url(Deps.from_runtime(given), "x") == "postgresql+psycopg2://host/studies"


@pytest.mark.parametrize(("count", "workers"), [(0, 2), (1, 2), (5, 2), (3, 9)])
def test_numbers_are_dealt_without_loss_or_doubling(count: int, workers: int) -> None:
    hands = share_out(range(count), workers)
    assert sorted(number for hand in hands for number in hand) == list(range(count))
    assert all(hands)
    assert len(hands) <= workers
