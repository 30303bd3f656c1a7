from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.deps import Deps
from aimass.core.errors import ConfigError
from aimass.core.release.comparison import Comparison, MetricChange, compare
from aimass.core.release.gate import GateSettings
from aimass.core.release.pieces import Addresses
from aimass.core.release.question import REPORTS, body, markdown_text, subject
from aimass.core.texts import speaking
from tests.releasing import make_release, run
from tests.searching import make_deps

STRONG = [{"type": "lightgbm", "n_estimators": 10}]
WEAK = [{"type": "lightgbm", "n_estimators": 1, "num_leaves": 2}]


@pytest.fixture(scope="module")
def deps(tmp_path_factory: pytest.TempPathFactory) -> Deps:
    return make_deps(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def strong(deps: Deps) -> dict[str, Any]:
    return make_release(deps, STRONG)


@pytest.fixture(scope="module")
def weak(deps: Deps) -> dict[str, Any]:
    return make_release(deps, WEAK)


def compared(deps: Deps, config: dict[str, Any], **gate: Any) -> Comparison:
    addresses = Addresses(config["model"], config["features"], config["raw"], config["evaluation"])
    settings = GateSettings(**gate)
    return compare(addresses, deps, name="late", alias="champion", gate=settings, registry=config["registry"])


def test_the_first_model_has_no_rival_and_the_next_is_held_against_it(
    deps: Deps, strong: dict[str, Any], weak: dict[str, Any]
) -> None:
    first = compared(deps, strong)
    assert first.champion is None
    assert first.passes
    assert first.metrics[0].name == "auc"
    assert {change.champion for change in first.metrics} == {None}
    assert "none yet" in body(first, {})
    released = run(deps, "release", **strong)
    second = compared(deps, weak)
    assert second.champion is not None
    assert (second.champion.version, second.champion.digest) == ("1", released.model_digest)
    assert second.champion.certificate is not None
    assert "The certificate holds" in second.champion.certificate
    assert "moved champion to version 1" in (second.champion.moved or "")
    auc = second.metrics[0]
    assert auc.champion == released.metrics["auc"]
    assert auc.is_better is False
    assert not compared(deps, weak, max_drop=0.0).passes
    assert compared(deps, weak, max_drop=None).passes
    text = body(second, {"the challenger": "http://airflow/aimass/x(1)"})
    assert "| auc | " in text
    assert "**worse**" in text
    assert "champion (version 1)" in text
    assert "[the challenger](http://airflow/aimass/x%281%29)" in text
    assert "version 1 has" in subject(second)


def test_the_question_is_asked_in_the_language_that_is_spoken(deps: Deps, strong: dict[str, Any]) -> None:
    with speaking("zh"):
        found = compared(deps, strong)
        text = subject(found) + body(found, {str(REPORTS["explore"]): "http://x"})
    english = {"Release ", "The gate would", "rows", "metric ", "Challenger", "Champion", "Reports", "the data"}
    assert {word for word in english if word in text} == set()


def test_what_the_gate_would_say_stands_first(deps: Deps, strong: dict[str, Any]) -> None:
    refused = compared(deps, strong, min=0.9999)
    assert not refused.passes
    assert body(refused, {}).startswith("**The gate would refuse this model")


def test_a_gate_on_what_nobody_measured_is_an_error(deps: Deps, strong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="did not measure"):
        compared(deps, strong, metric="lift")


@pytest.mark.parametrize(
    ("challenger", "champion", "greater", "better"),
    [(0.8, 0.7, True, True), (0.8, 0.7, False, False), (0.5, 0.5, True, None), (0.5, None, True, None)],
)
def test_better_depends_on_the_metric(challenger: float, champion: float | None, greater: bool, better: object) -> None:
    change = MetricChange(name="m", challenger=challenger, champion=champion, greater_is_better=greater)
    assert change.is_better is better


@given(st.text())
def test_nothing_in_a_name_is_markup(text: str) -> None:
    shown = markdown_text(text)
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>|`*_\[\]]", shown)
