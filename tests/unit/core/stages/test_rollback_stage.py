from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aimass.core.artifacts import Artifact
from aimass.core.deps import Deps
from aimass.core.endpoints.status import ShadowReport
from aimass.core.errors import GateRefusedError
from aimass.core.monitoring.result import MonitorResult, Quality, QualityFigure, VersionQuality
from aimass.core.release.base import BAD_TAG, Version
from aimass.core.release.promotion import open_registry
from aimass.core.release.rollback import Confirmation, Plan, RollbackRequest, Verification, choose, move
from aimass.core.stages.base import Output, Stage, StageConfig
from tests.releasing import make_release, run
from tests.searching import make_deps

# Two releases are made first; once, wherever the tests are shared out to.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rollback stage")]
MEMORY = {"type": "memory"}
NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def deps(tmp_path_factory: pytest.TempPathFactory) -> Deps:
    return make_deps(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def releases(deps: Deps) -> list[dict[str, Any]]:
    """Return the configurations of two releases, of which the second one stands."""
    first = make_release(deps, [{"type": "lightgbm", "n_estimators": 5}])
    second = make_release(deps, [{"type": "lightgbm", "n_estimators": 10}])
    for config in (first, second):
        run(deps, "release", **config)
    return [first, second]


@pytest.fixture(scope="module")
def plan(deps: Deps, releases: list[dict[str, Any]]) -> Plan:
    found = choose(RollbackRequest(model="late", why="AUC fell <b>"), open_registry(MEMORY, deps), deps)
    assert found is not None
    return found


def champion(deps: Deps) -> Version:
    found = open_registry(MEMORY, deps).aliased("late", "champion")
    assert found is not None
    return found


def publish_window(deps: Deps, version: str) -> str:
    """Publish what the monitor would say of a window in which the AUC fell; return its URI."""

    def body(config: StageConfig, deps: Deps, output: Output) -> MonitorResult:
        figure = QualityFigure(metric="auc", value=0.52, low=0.48, high=0.56, at_release=0.7)
        quality = VersionQuality(version=version, rows=300, positives=90, figures=[figure])
        return MonitorResult(
            model="late",
            project=deps.project,
            alias="champion",
            version=version,
            model_digest="0" * 64,
            start=NOW - timedelta(hours=1),
            end=NOW,
            rows=300,
            rows_by_version={version: 300},
            no_data=False,
            quality=Quality(labels=300, matched=300, versions=[quality]),
        )

    return Stage("monitor", StageConfig, MonitorResult, 1, body).run(StageConfig(), deps).uri


def test_a_rollback_is_written_down(deps: Deps, plan: Plan) -> None:
    entry = move(plan, open_registry(MEMORY, deps), deps)
    report = ShadowReport(model="late", version=plan.target, against=plan.leave, rows=150, mean_abs_diff=0.1, ok=True)
    written = run(
        deps,
        "rollback",
        plan=plan.model_dump(),
        move=entry.model_dump(),
        verification=Verification(reports={"one": report}, unreachable={"two": "is <down>"}).model_dump(),
        confirmation=Confirmation(serving=["one"], lacking={"two": "is <down>"}).model_dump(),
        seen={"monitor": publish_window(deps, plan.leave)},
        registry=MEMORY,
    )
    assert (written.left, written.target, written.serving) == ("2", "1", ["one"])
    artifact = Artifact(written.uri, deps)
    assert artifact.read_json("evidence.json")["seen"]["quality"]["matched"] == 300
    page = artifact.read_bytes("report.html").decode()
    assert "0.52 (0.48 … 0.56)" in page
    assert "AUC fell &lt;b&gt;" in page
    assert "is &lt;down&gt;" in page
    assert "<code>champion</code> went back from version 2 to version 1." in page
    assert "回" in artifact.read_bytes("report.zh.html").decode()


def test_an_unchanged_release_does_not_bring_it_back(deps: Deps, releases: list[dict[str, Any]], plan: Plan) -> None:
    move(plan, open_registry(MEMORY, deps), deps)
    again = replace(deps, runtime=deps.runtime.model_copy(update={"run_id": "again"}))
    for _ in range(2):
        with pytest.raises(GateRefusedError, match="these very bytes were in use and were rolled back"):
            run(again, "release", **releases[1])
        assert champion(deps).version == plan.target


def test_who_insists_may_release_it_again(deps: Deps, releases: list[dict[str, Any]], plan: Plan) -> None:
    move(plan, open_registry(MEMORY, deps), deps)
    again = replace(deps, runtime=deps.runtime.model_copy(update={"run_id": "insist"}))
    assert run(again, "release", **releases[1], accept_rolled_back=True).version == plan.leave
    assert champion(deps).version == plan.leave
    assert BAD_TAG not in champion(deps).tags
