from __future__ import annotations

import pytest

from aimass.core.access import AllowAll, ReadRequest
from aimass.core.deps import Deps, Runtime, safe_name, utc_now
from aimass.core.errors import NotAllowedError


class OnlyTraining:
    """A policy that lets the train stage read, and nobody else."""

    def check(self, request: ReadRequest) -> None:
        if request.purpose != "train":
            raise NotAllowedError(f"{request.principal} may not read {request.resource} for {request.purpose}")


def test_pin_gives_each_caller_of_a_run_what_the_first_one_saw(deps: Deps) -> None:
    assert deps.pin("source/x", lambda: {"files": [1]}) == {"files": [1]}
    assert deps.pin("source/x", lambda: {"files": [2]}) == {"files": [1]}
    assert deps.pin("source/y", lambda: 3) == 3


def test_pin_reads_anew_in_another_run(deps: Deps) -> None:
    deps.pin("x", lambda: 1)
    other = Deps.from_runtime(deps.runtime.model_copy(update={"run_id": "r2"}))
    assert other.pin("x", lambda: 2) == 2


def test_check_read_asks_with_principal_purpose_and_columns(deps: Deps) -> None:
    guarded = Deps(store=deps.store, runtime=deps.runtime, access=OnlyTraining())
    guarded.with_purpose("train").check_read("x", ["a"])
    with pytest.raises(NotAllowedError, match=f"{deps.principal} may not read x for report"):
        guarded.check_read("x")


def test_the_default_policy_allows_everything() -> None:
    AllowAll().check(ReadRequest("me", "train", "x"))


def test_runtime_hides_the_token() -> None:
    runtime = Runtime(store="/x", tracking_token="s3cret")  # type: ignore[arg-type]
    assert "s3cret" not in repr(runtime)
    assert "s3cret" not in runtime.model_dump_json()


def test_safe_name_and_clock() -> None:
    assert safe_name("manual__2026-01-01T00:00:00+00:00/../x") == "manual__2026-01-01T00_00_00_00_00_.._x"
    assert utc_now().tzinfo is not None
