from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.errors import ConfigError
from aimass.core.monitoring.rules import SERVING_METRICS, VOLUME_METRICS, WINDOW_METRICS, Rule, Watch, metric_names
from aimass.core.settings import parse_settings

RULE = {"name": "drift", "metric": "drifted_columns", "above": 0}


def parsed(rule: dict[str, Any], **others: Any) -> Watch:
    return parse_settings(Watch, {"model": "late", "rules": [{**RULE, **rule}], **others}, where="late.yaml")


def test_a_short_file_is_enough() -> None:
    found = parsed({})
    assert (found.alias, found.endpoints, found.window.total_seconds()) == ("champion", ["aimass_serving"], 3600)
    rule = found.rules[0]
    assert (rule.k, rule.n, rule.clear_k, rule.action, rule.level) == (2, 3, 2, "notify", 2)


@pytest.mark.parametrize("metric", ["drifted_columns", "p99_ms", "auc", "auc_high", "log_loss_loss", "drift:dep_delay"])
def test_known_metrics_may_be_named(metric: str) -> None:
    assert parsed({"metric": metric}).rules[0].metric == metric


@pytest.mark.parametrize("action", ["notify", "page"])
@pytest.mark.parametrize("metric", VOLUME_METRICS)
def test_how_much_came_may_be_told(metric: str, action: str) -> None:
    assert parsed({"metric": metric, "action": action}).rules[0].action == action


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"metric": "drifted_colums"}, "did you mean 'drifted_columns'"),
        ({"metric": "zzz"}, "known: rows, "),
        ({"below": 1}, "either 'above' or 'below'"),
        ({"above": None}, "either 'above' or 'below'"),
        ({"above": float("inf")}, "not finite"),
        ({"clear": 1}, "clear is 1, expected at most 0"),
        ({"above": None, "below": 0.6, "clear": 0.5}, "clear is 0.5, expected at least 0.6"),
        ({"k": 4}, "4 of 3 windows can never be bad"),
        ({"k": 1, "action": "rollback"}, "one window is no reason for rollback"),
        ({"k": 1, "action": "retire"}, "one window is no reason for retire"),
        ({"metric": "rows", "k": 2, "action": "rollback"}, "may be notify or page, not rollback"),
        ({"metric": "requests", "k": 2, "action": "retire"}, "says how much came, not how good the model is"),
        ({"metric": "labels", "action": "retrain"}, "may be notify or page, not retrain"),
        ({"level": 5}, "level"),
        ({"action": "rolback"}, "action"),
        ({"name": "with space"}, "name"),
        ({"cool_down": 5}, "did you mean 'cooldown_minutes'"),
    ],
)
def test_mistakes_are_named(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=f"In late.yaml: rules.0.*{told}"):
        parsed(rule)


def test_each_rule_has_a_name_of_its_own() -> None:
    with pytest.raises(ConfigError, match="two rules are called 'drift'"):
        parse_settings(Watch, {"model": "late", "rules": [RULE, RULE]}, where="late.yaml")


@pytest.mark.parametrize("alias", ["latest", "v1", "with space"])
def test_aliases_are_those_of_the_registry(alias: str) -> None:
    with pytest.raises(ConfigError, match="alias"):
        parsed({}, alias=alias)


def test_metrics_have_one_name() -> None:
    assert len(metric_names()) == len(set(metric_names()))


@pytest.mark.parametrize("model", [Rule, Watch])
def test_the_page_of_rules_has_every_key_and_metric(model: type[Rule] | type[Watch], root: Path) -> None:
    page = (root / "docs" / "rules.md").read_text(encoding="utf-8")
    assert [name for name in model.model_fields if f"`{name}`" not in page] == []
    assert [name for name in (*WINDOW_METRICS, *SERVING_METRICS) if f"`{name}`" not in page] == []


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e6), st.booleans())
def test_no_value_is_good_and_bad(value: float, threshold: float, room: float, above: bool) -> None:
    side = {"above": threshold, "clear": threshold - room} if above else {"below": threshold, "clear": threshold + room}
    rule = Rule.model_validate({"name": "r", "metric": "rows", **side})
    assert not (rule.is_good(value) and rule.is_bad(value))
    assert rule.is_good(rule.good)
