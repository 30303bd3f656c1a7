from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aimass.core.artifacts import Artifact
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError
from aimass.core.matrix import load_matrix
from aimass.core.models.candidates import load_candidates, load_model
from aimass.core.search.study import open_study
from aimass.core.stages import STAGES
from aimass.core.stages.optimize import STAGE, OptimizeConfig, plan, work
from tests.searching import at, make_deps, make_world, publish_evaluation


@pytest.fixture(scope="module")
def deps(tmp_path_factory: pytest.TempPathFactory) -> Deps:
    return make_deps(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def world(deps: Deps) -> OptimizeConfig:
    return make_world(deps)


@pytest.fixture
def config(world: OptimizeConfig, request: pytest.FixtureRequest) -> OptimizeConfig:
    """Return a search of the test's own: another seed is another study."""
    return world.model_copy(update={"seed": zlib.crc32(request.node.name.encode()) % 2**31})


def trials_of(uri: str, deps: Deps) -> list[dict]:
    return json.loads(Artifact(uri, deps).read_bytes("trials.json"))


def test_the_stage_works_alone_and_finds_a_better_model(config: OptimizeConfig, deps: Deps) -> None:
    result = STAGE.run(config, deps)
    assert result.trials == {"complete": 6, "failed": 0}
    assert result.improved >= 0
    assert not result.stopped_early
    artifact = Artifact(result.uri, deps)
    kept = load_candidates(artifact)
    assert kept.best == result.best["name"]
    best = max(trial["score"] for trial in trials_of(result.uri, deps))
    baseline = max(one.metrics["auc"] for one in load_candidates(Artifact(config.baseline, deps)).candidates)
    assert kept.named(kept.best).metrics["auc"] == pytest.approx(max(best, baseline))


def test_tasks_and_the_stage_alone_find_the_same(tmp_path: Path) -> None:
    alone, spread = make_deps(tmp_path / "alone"), make_deps(tmp_path / "spread")
    result = STAGE.run(make_world(alone), alone)
    config = make_world(spread, workers=3)
    for round_index in range(config.rounds):
        for assignment in reversed(plan(config, spread, round_index)):
            work(config, spread, assignment)
    assert STAGE.run(config, spread).digest == result.digest


def test_planning_again_gives_the_same_numbers(config: OptimizeConfig, deps: Deps) -> None:
    first = plan(config, deps, 0)
    assert [one["numbers"] for one in first] == [[0, 2], [1]]
    assert plan(config, deps, 0) == first


def test_working_again_changes_nothing(config: OptimizeConfig, deps: Deps) -> None:
    [mine, other] = plan(config, deps, 0)
    done = work(config, deps, mine)
    assert done["complete"] == 2
    assert work(config, deps, mine) == done
    assert [one["numbers"] for one in plan(config, deps, 0)] == [other["numbers"]]


def test_a_later_round_completes_the_one_before_it(config: OptimizeConfig, deps: Deps) -> None:
    plan(config, deps, 0)
    assert [number for one in plan(config, deps, 1) for number in sorted(one["numbers"])] == [3, 5, 4]
    with open_study(deps, STAGE.key(config, deps), maximize=True) as study:
        assert [trial.state for trial in study.trials()] == ["complete"] * 3 + ["waiting"] * 3


def test_nothing_is_planned_once_the_search_is_published(config: OptimizeConfig, deps: Deps) -> None:
    STAGE.run(config, deps)
    assert plan(config, deps, 0) == []
    assert STAGE.run(config, deps).reused


def test_the_number_of_workers_does_not_change_the_key(config: OptimizeConfig, deps: Deps) -> None:
    assert STAGE.key(config, deps) == STAGE.key(config.model_copy(update={"workers": 9}), deps)


def test_an_assignment_of_another_search_is_refused(config: OptimizeConfig, deps: Deps) -> None:
    [assignment, *_] = plan(config, deps, 0)
    with pytest.raises(ConfigError, match="planned with"):
        work(config.model_copy(update={"seed": 1}), deps, assignment)


def test_an_evaluation_on_the_test_part_is_refused(config: OptimizeConfig, deps: Deps) -> None:
    peeked = config.model_copy(update={"evaluation": publish_evaluation(deps, [], split="test")})
    with pytest.raises(ConfigError, match="'test' part"):
        STAGE.run(peeked, deps)


def test_a_point_that_fails_is_a_failed_trial_with_its_reason(config: OptimizeConfig, deps: Deps) -> None:
    space = {"decision_tree": {"max_depth": {"choices": [3, 99]}}}
    result = STAGE.run(config.model_copy(update={"space": space, "families": ["decision_tree"]}), deps)
    failed = [trial for trial in trials_of(result.uri, deps) if trial["state"] == "failed"]
    assert len(failed) == result.trials["failed"] > 0
    assert "max_depth" in failed[0]["reason"]


def test_a_search_in_which_all_fails_says_why(config: OptimizeConfig, deps: Deps) -> None:
    space = {"decision_tree": {"max_depth": 99}}
    with pytest.raises(ConfigError, match=r"All 6 trials failed.*max_depth"):
        STAGE.run(config.model_copy(update={"space": space, "families": ["decision_tree"]}), deps)


def test_the_time_budget_ends_the_search_and_is_told(config: OptimizeConfig, deps: Deps) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    hurried = config.model_copy(update={"max_minutes": 10.0})
    [assignment, *_] = plan(hurried, at(deps, clock=lambda: start), 0)
    work(hurried, at(deps, clock=lambda: start), assignment)
    late = at(deps, clock=lambda: start + timedelta(minutes=11))
    assert plan(hurried, late, 1) == []
    result = STAGE.run(hurried, late)
    assert result.stopped_early
    assert result.trials == {"complete": 2, "failed": 1}


def test_the_kept_model_is_the_one_that_was_scored(config: OptimizeConfig, deps: Deps) -> None:
    from sklearn.metrics import roc_auc_score

    from aimass.core.datasets import open_dataset

    artifact = Artifact(STAGE.run(config, deps).uri, deps)
    [kept] = load_candidates(artifact).candidates
    matrix = load_matrix(open_dataset(config.dataset, deps), "validation")
    probability = load_model(artifact, kept).predict_proba(matrix.X)
    assert roc_auc_score(matrix.y, probability) == pytest.approx(kept.metrics["auc"])


def test_the_tasks_are_stages_of_their_own(config: OptimizeConfig, deps: Deps) -> None:
    planner, worker = STAGES.load("optimize_plan"), STAGES.load("optimize_work")
    document = config.model_dump(mode="json")
    planned = planner.run(planner.parse({"optimize": document, "round_index": 0}), deps).model_dump(mode="json")
    assignment = json.loads(json.dumps(planned))["assignments"][0]
    done = worker.run(worker.parse({"optimize": document, "assignment": assignment}), deps)
    assert done.summary["complete"] == 2
