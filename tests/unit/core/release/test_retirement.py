from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, NotFoundError
from aimass.core.release.base import STATE_TAG, TRAFFIC_TAG, ModelRegistry
from aimass.core.release.promotion import open_registry, promote
from aimass.core.release.retirement import (
    RETIRED_TAG,
    ServerUse,
    Usage,
    archive,
    deprecate,
    drain,
    revive,
    unload,
    usage,
)
from aimass.core.testing.endpoints import MemoryEndpoint, MemoryEndpointSettings
from aimass.core.testing.endpoints_contract import ROW, served_package
from aimass.core.testing.failpoints import FailAt
from tests.searching import make_deps

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
GRACE = timedelta(minutes=10)


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return make_deps(tmp_path / "store")


@pytest.fixture
def registry(deps: Deps, tmp_path: Path) -> ModelRegistry:
    """Return a registry in which version 2 is the champion and version 1 the previous one."""
    found = open_registry({"type": "memory"}, deps)
    for bias in (0.25, 0.5):
        promote(found, deps, served_package(tmp_path, "late", bias), alias="champion", why="x")
    return found


@pytest.fixture
def endpoint(deps: Deps, registry: ModelRegistry) -> MemoryEndpoint:
    return MemoryEndpoint(MemoryEndpointSettings(store=deps.store.root))


def tags(registry: ModelRegistry, number: str) -> dict[str, str]:
    version = registry.version("late", number)
    assert version is not None
    return version.tags


def test_a_version_goes_step_by_step_and_no_step_goes_back(
    registry: ModelRegistry, deps: Deps, endpoint: MemoryEndpoint
) -> None:
    for _ in range(2):
        assert deprecate(registry, deps, "late", "1", why="too old") in ("deprecated", "archived")
        assert drain(registry, "late", "1") in ("draining", "archived")
        assert archive(registry, "late", "1") == "archived"
        assert unload({"one": endpoint}, "late", "1") == {}
    assert tags(registry, "1")[STATE_TAG] == "archived"
    assert tags(registry, "1")[RETIRED_TAG].endswith("tester: too old")
    model = registry.model("late")
    assert model is not None
    assert model.aliases == {"champion": "2"}
    served = endpoint.status().model("late")
    assert served is not None
    assert served.named("1") is None


def test_a_version_in_use_is_not_retired_unless_it_must_be(registry: ModelRegistry, deps: Deps) -> None:
    with pytest.raises(ConfigError, match="champion of 'late' still point at version 2"):
        deprecate(registry, deps, "late", "2", why="x")
    with pytest.raises(ConfigError, match="champion of 'late' points at version 2"):
        archive(registry, "late", "2")
    assert STATE_TAG not in tags(registry, "2")
    deprecate(registry, deps, "late", "2", why="it leaks", force=True)
    assert registry.aliased("late", "champion") is None


def test_what_stopped_halfway_is_finished_by_the_next(registry: ModelRegistry, deps: Deps) -> None:
    with pytest.raises(KeyboardInterrupt):
        deprecate(registry, replace(deps, failpoints=FailAt("between_aliases_and_state")), "late", "1", why="too old")
    assert deprecate(registry, deps, "late", "1", why="too old") == "deprecated"


def test_a_retirement_may_be_taken_back(registry: ModelRegistry, deps: Deps) -> None:
    deprecate(registry, deps, "late", "1", why="too old")
    revive(registry, "late", "1")
    assert not {STATE_TAG, RETIRED_TAG} & tags(registry, "1").keys()


def test_usage_says_who_would_notice(registry: ModelRegistry, deps: Deps, endpoint: MemoryEndpoint) -> None:
    registry.set_model_tags("late", {TRAFFIC_TAG: '{"champion": 0.9, "challenger": 0.1}'})
    endpoint.predict("late", [ROW])
    down = MemoryEndpoint(MemoryEndpointSettings(store=deps.store.root, server="down"))
    down.server.down = True
    found = usage(registry, deps, {"one": endpoint, "down": down}, "late", "2")
    assert (found.state, found.aliases, found.traffic) == ("active", ["champion"], {"champion": 0.9})
    assert (found.servers["one"].requests, found.servers["one"].state) == (1, "ready")
    assert found.unknown == ["down"]
    assert found.last_request_at is not None
    lines = list(map(str, found.lines()))
    assert lines[0].startswith("version 2 of late was asked last at 20")
    assert lines[1] == "alias champion with 90% of the traffic"
    assert lines[2].startswith("one (ready): 1 requests since it started, the last at 20")
    assert lines[3].startswith("down does not say: ")
    assert lines[4:] == ["0 rows in the prediction log of the last seven days"]
    old = usage(registry, deps, {"one": endpoint}, "late", "1")
    assert (old.aliases, old.servers["one"].requests, old.last_request_at) == (["previous"], 0, None)
    assert list(map(str, old.lines())) == [
        "nobody is known to have asked for version 1 of late",
        "alias previous",
        "one (ready): no request since it started",
        "0 rows in the prediction log of the last seven days",
    ]


def test_callers_are_named_by_their_tokens() -> None:
    use = ServerUse(requests=1012, last_request_at=NOW, callers={"desk": 12, "batch": 1000})
    told = "one: 1,012 requests since it started, the last at 2026-04-01 12:00:00 UTC (by batch 1000, desk 12)"
    assert str(use.text("one")) == told


def test_unknown_versions_are_told(registry: ModelRegistry, deps: Deps) -> None:
    with pytest.raises(NotFoundError, match=r"no version '7'. Known: 1, 2"):
        usage(registry, deps, {}, "late", "7")
    with pytest.raises(NotFoundError, match="no version '7'"):
        drain(registry, "late", "7")


@pytest.mark.parametrize(
    ("last", "error", "idle"),
    [
        (None, "", True),
        (NOW - GRACE, "", True),
        (NOW - GRACE / 2, "", False),
        (NOW - 2 * GRACE, "it does not answer", False),
    ],
)
def test_idle_is_nobody_asked_for_a_while_as_far_as_every_server_knows(
    last: datetime | None, error: str, *, idle: bool
) -> None:
    servers = {"one": ServerUse(last_request_at=last), "two": ServerUse(error=error)}
    found = Usage(model="late", version="1", state="draining", aliases=[], traffic={}, servers=servers, logged_rows=0)
    assert found.is_idle(NOW, GRACE) == idle


def test_a_server_that_is_down_is_told_of(registry: ModelRegistry, deps: Deps, endpoint: MemoryEndpoint) -> None:
    endpoint.server.down = True
    assert list(unload({"one": endpoint}, "late", "1")) == ["one"]
