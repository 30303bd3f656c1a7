from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aimass.core.deps import Deps
from aimass.core.endpoints.http import HttpEndpoint, HttpSettings
from aimass.core.errors import ConfigError, GateRefusedError, NotFoundError, UnreachableError
from aimass.core.release.base import BAD_TAG, STATE_TAG, ModelRegistry
from aimass.core.release.ledger import Ledger
from aimass.core.release.promotion import open_registry, promote
from aimass.core.release.rollback import Plan, RollbackRequest, choose, confirm, move, verify
from aimass.core.testing.endpoints import MemoryEndpoint, MemoryEndpointSettings
from aimass.core.testing.endpoints_contract import ROW, served_package
from aimass.core.testing.failpoints import FailAt, RecordingFailpoints
from tests.searching import at, fresh_deps
from tests.services.answering import silent_server

POINTS = ["between_ledger_and_bad", "between_bad_and_alias", "between_alias_and_previous", "between_previous_and_tags"]
REQUEST = RollbackRequest(model="late", why="AUC fell")


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return fresh_deps(tmp_path)


@pytest.fixture
def registry(deps: Deps, tmp_path: Path) -> ModelRegistry:
    """Return a registry in which versions 1, 2 and 3 were the champion, one after the other."""
    found = open_registry({"type": "memory"}, deps)
    for run, bias in enumerate((0.25, 0.5, 0.75)):
        promote(
            found, in_run(deps, f"release-{run}"), served_package(tmp_path, "late", bias), alias="champion", why="x"
        )
    return found


@pytest.fixture
def endpoint(deps: Deps, registry: ModelRegistry) -> MemoryEndpoint:
    return MemoryEndpoint(MemoryEndpointSettings(store=deps.store.root))


def in_run(deps: Deps, run_id: str) -> Deps:
    return replace(deps, runtime=deps.runtime.model_copy(update={"run_id": run_id}))


def roll_back(registry: ModelRegistry, deps: Deps, request: RollbackRequest = REQUEST) -> Plan:
    plan = choose(request, registry, deps)
    assert plan is not None
    move(plan, registry, deps)
    return plan


def stand(registry: ModelRegistry) -> dict[str, str]:
    model = registry.model("late")
    assert model is not None
    return model.aliases


def tags(registry: ModelRegistry, number: str) -> dict[str, str]:
    version = registry.version("late", number)
    assert version is not None
    return version.tags


def test_the_alias_goes_back_and_the_version_it_leaves_is_marked(registry: ModelRegistry, deps: Deps) -> None:
    plan = roll_back(registry, deps)
    assert (plan.leave, plan.target, plan.next_good) == ("3", "2", "1")
    assert stand(registry) == {"champion": "2", "previous": "1"}
    assert "rollback: AUC fell" in tags(registry, "3")[BAD_TAG]
    last = Ledger(deps, "late").last("champion")
    assert last is not None
    assert (last.old_version, last.new_version, last.why) == ("3", "2", "rollback: AUC fell")


def test_every_dangerous_moment_is_a_fail_point(registry: ModelRegistry, deps: Deps) -> None:
    passed = RecordingFailpoints()
    roll_back(registry, at(deps, failpoints=passed))
    assert passed.names == POINTS


@pytest.mark.parametrize("again_from", ["choose", "move"])
@pytest.mark.parametrize("point", POINTS)
def test_a_rollback_that_stopped_anywhere_ends_the_same(
    registry: ModelRegistry, deps: Deps, point: str, again_from: str
) -> None:
    plan = choose(REQUEST, registry, deps)
    assert plan is not None
    with pytest.raises(KeyboardInterrupt):
        move(plan, registry, at(deps, failpoints=FailAt(point)))
    again = choose(REQUEST, registry, deps) if again_from == "choose" else plan
    assert again == plan
    move(again, registry, deps)
    assert stand(registry) == {"champion": "2", "previous": "1"}
    assert [(entry.old_version, entry.new_version) for entry in Ledger(deps, "late").entries()] == [
        (None, "1"),
        ("1", "2"),
        ("2", "3"),
        ("3", "2"),
    ]


@pytest.mark.parametrize("to", ["last_good", "1", "2", "previous"])
def test_the_same_run_chooses_the_same_again(registry: ModelRegistry, deps: Deps, to: str) -> None:
    request = RollbackRequest(model="late", why="AUC fell", to=to)
    first = roll_back(registry, deps, request)
    assert roll_back(registry, deps, request) == first
    assert len(Ledger(deps, "late").entries()) == 4


def test_the_next_run_goes_back_further_and_then_there_is_nothing_left(registry: ModelRegistry, deps: Deps) -> None:
    roll_back(registry, in_run(deps, "first"))
    second = roll_back(registry, in_run(deps, "second"))
    assert (second.leave, second.target, second.next_good) == ("2", "1", None)
    assert stand(registry) == {"champion": "1"}
    with pytest.raises(NotFoundError, match="no version that it pointed at before is still good"):
        choose(REQUEST, registry, in_run(deps, "third"))


def test_a_version_that_the_alias_has_left_is_not_left_again(registry: ModelRegistry, deps: Deps) -> None:
    request = RollbackRequest(model="late", why="AUC fell", leave="3")
    roll_back(registry, in_run(deps, "first"), request)
    assert choose(request, registry, in_run(deps, "second")) is None
    assert stand(registry)["champion"] == "2"


@pytest.mark.parametrize("tag", [{BAD_TAG: "worse"}, {STATE_TAG: "archived"}, {STATE_TAG: "draining"}])
def test_what_is_not_good_is_passed_over(registry: ModelRegistry, deps: Deps, tag: dict[str, str]) -> None:
    registry.set_tags("late", "2", tag)
    assert roll_back(registry, deps).target == "1"
    with pytest.raises(ConfigError, match="cannot be gone back to"):
        choose(RollbackRequest(model="late", why="x", to="2"), registry, in_run(deps, "other"))


def test_unknown_names_are_told(registry: ModelRegistry, deps: Deps) -> None:
    with pytest.raises(NotFoundError, match=r"no version '9'. Known: 1, 2, 3"):
        choose(RollbackRequest(model="late", why="x", to="9"), registry, deps)
    with pytest.raises(NotFoundError, match="'chmapion'"):
        choose(RollbackRequest(model="late", why="x", alias="chmapion"), registry, deps)
    with pytest.raises(ConfigError, match="the very model that is to be left"):
        choose(RollbackRequest(model="late", why="x", to="3"), registry, deps)


def test_an_alias_that_moved_meanwhile_stays(registry: ModelRegistry, deps: Deps, tmp_path: Path) -> None:
    plan = choose(REQUEST, registry, deps)
    assert plan is not None
    promote(registry, in_run(deps, "newer"), served_package(tmp_path, "late", 0.9), alias="champion", why="better")
    with pytest.raises(ConfigError, match="points at version 4: somebody moved it"):
        move(plan, registry, deps)
    assert stand(registry)["champion"] == "4"
    assert BAD_TAG not in tags(registry, "3")


def test_servers_try_the_target_and_follow(registry: ModelRegistry, deps: Deps, endpoint: MemoryEndpoint) -> None:
    endpoint.predict("late", [ROW] * 3)
    plan = choose(REQUEST, registry, deps)
    assert plan is not None
    report = verify(plan, {"one": endpoint}).reports["one"]
    assert (report.version, report.against, report.rows) == ("2", "3", 3)
    assert confirm(plan, {"one": endpoint}).lacking == {"one": "answers with version 3"}
    move(plan, registry, deps)
    assert confirm(plan, {"one": endpoint}).serving == ["one"]
    assert endpoint.predict("late", [ROW])["version"] == "2"


def test_a_target_that_cannot_answer_is_refused(
    registry: ModelRegistry, deps: Deps, endpoint: MemoryEndpoint, tmp_path: Path
) -> None:
    registry.register(served_package(tmp_path, "late", float("nan")))
    endpoint.predict("late", [ROW])
    plan = choose(RollbackRequest(model="late", why="AUC fell", to="4"), registry, deps)
    assert plan is not None
    with pytest.raises(GateRefusedError, match="1 of 1 rows have no answer"):
        verify(plan, {"one": endpoint})


def test_a_server_that_is_down_does_not_forbid_the_way_back(
    registry: ModelRegistry, deps: Deps, endpoint: MemoryEndpoint
) -> None:
    down = MemoryEndpoint(MemoryEndpointSettings(store=deps.store.root, server="down"))
    down.server.down = True
    plan = choose(REQUEST, registry, deps)
    assert plan is not None
    assert list(verify(plan, {"up": endpoint, "down": down}).unreachable) == ["down"]
    with pytest.raises(UnreachableError, match="No server answered"):
        verify(plan, {"down": down})
    assert verify(plan, {}).reports == {}
    move(plan, registry, deps)
    found = confirm(plan, {"up": endpoint, "down": down})
    assert (found.ok, found.serving, list(found.lacking)) == (False, ["up"], ["down"])


def test_a_server_that_hangs_does_not_forbid_the_way_back(
    registry: ModelRegistry, deps: Deps, endpoint: MemoryEndpoint
) -> None:
    with silent_server() as url:
        hangs = HttpEndpoint(HttpSettings(url=url, timeout_s=0.1, work_timeout_s=0.1))
        plan = choose(REQUEST, registry, deps)
        assert plan is not None
        seen = verify(plan, {"up": endpoint, "hangs": hangs}).unreachable
        assert list(seen) == ["hangs"]
        assert f"The server {url} does not answer: timed out" in seen["hangs"]
        with pytest.raises(UnreachableError, match="No server answered to try version 2"):
            verify(plan, {"hangs": hangs})
        move(plan, registry, deps)
        found = confirm(plan, {"up": endpoint, "hangs": hangs})
    assert (found.ok, found.serving) == (False, ["up"])
    assert "does not answer: timed out" in found.lacking["hangs"]


def test_what_was_rolled_back_comes_back_only_where_somebody_accepts_it(
    registry: ModelRegistry, deps: Deps, tmp_path: Path
) -> None:
    roll_back(registry, in_run(deps, "bad"))
    package, again = served_package(tmp_path, "late", 0.75), in_run(deps, "again")
    with pytest.raises(GateRefusedError, match=r"Version 3 of 'late' was rolled back: .*AUC fell"):
        promote(registry, again, package, alias="champion", why="again")
    assert stand(registry)["champion"] == "2"
    promote(registry, again, package, alias="champion", why="mended feed", accept_rolled_back=True)
    assert BAD_TAG not in tags(registry, "3")
    assert roll_back(registry, in_run(deps, "bad again")).leave == "3"


def test_times_do_not_matter(registry: ModelRegistry, deps: Deps) -> None:
    plan = roll_back(registry, deps)
    later = replace(deps, clock=lambda: datetime.now(UTC) + timedelta(days=1))
    assert move(plan, registry, later) == Ledger(deps, "late").last("champion")
