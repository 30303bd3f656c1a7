import pytest

from aimass.core.errors import ConfigError, UnknownNameError
from aimass.core.search.base import Proposal
from aimass.core.search.space import build_space, fixed_values
from aimass.core.search.steering import Baseline, known_points, steer


def names(family: str, overrides: dict) -> set[str]:
    return {dimension.name for dimension in build_space([family], {family: overrides})[family]}


def test_a_fixed_value_is_not_searched() -> None:
    assert "max_depth" in names("decision_tree", {})
    assert "max_depth" not in names("decision_tree", {"max_depth": 3})
    assert fixed_values({"decision_tree": {"max_depth": 3, "min_samples_leaf": {"low": 2}}}, "decision_tree") == {
        "max_depth": 3
    }


def test_bounds_and_choices_replace_the_family_s_own() -> None:
    overrides = {"min_samples_leaf": {"low": 5, "high": 50}, "max_depth": {"choices": [2, 4]}}
    found = {one.name: one for one in build_space(["decision_tree"], {"decision_tree": overrides})["decision_tree"]}
    assert (found["min_samples_leaf"].low, found["min_samples_leaf"].high) == (5, 50)
    assert (found["max_depth"].kind, found["max_depth"].choices) == ("categorical", (2, 4))


def test_a_setting_that_the_family_does_not_search_may_be_searched() -> None:
    bounds = {"kind": "float", "low": 0.0, "high": 0.1}
    assert "ccp_alpha" in names("decision_tree", {"ccp_alpha": bounds})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"max_depht": 3}, "max_depth"),
        ({"max_depth": {"low": 9, "high": 3}}, "low <= high"),
        ({"max_depth": {"lo": 9}}, "did you mean 'low'"),
        ({"max_depth": {"choices": []}}, "no choices"),
        ({"min_samples_leaf": {"low": 0}}, "logarithmic"),
    ],
)
def test_a_wrong_override_is_named(overrides: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_space(["decision_tree"], {"decision_tree": overrides})


def test_an_override_for_a_family_that_is_not_searched_is_named() -> None:
    with pytest.raises(UnknownNameError, match="lightgbm"):
        build_space(["decision_tree"], {"lightgbm": {}})


def baselines() -> list[Baseline]:
    return [
        Baseline("tree", "decision_tree", {"max_depth": 3}, 0.55),
        Baseline("gbm", "lightgbm", {"num_leaves": 31}, 0.70),
        Baseline("gbm_2", "lightgbm", {"num_leaves": 7}, 0.60),
        Baseline("lr", "logistic_regression", {"C": 1.0}, 0.68),
    ]


def test_the_best_family_comes_first_and_a_hopeless_one_is_left_out() -> None:
    found = steer(baselines(), [], metric="auc", maximize=True, drop_behind=0.1)
    assert found.families == ["lightgbm", "logistic_regression"]
    assert "decision_tree is not searched: its auc 0.5500 is 0.1500 behind lightgbm" in found.advice


def test_nothing_is_left_out_when_nothing_may_be() -> None:
    assert len(steer(baselines(), [], metric="auc", maximize=True, drop_behind=None).families) == 3


def test_less_is_better_for_a_loss() -> None:
    found = steer(baselines(), [], metric="log_loss", maximize=False, drop_behind=0.1)
    assert found.families == ["decision_tree", "lightgbm"]


def test_a_family_of_which_nothing_is_known_is_searched() -> None:
    found = steer(baselines(), ["random_forest", "lightgbm"], metric="auc", maximize=True, drop_behind=0.1)
    assert found.families == ["lightgbm", "random_forest"]


def test_baselines_are_points_of_the_space() -> None:
    space = build_space(["decision_tree"], {"decision_tree": {"min_samples_leaf": 9, "criterion": "gini"}})
    [point] = known_points(baselines(), space)
    assert (point.proposal, point.score) == (Proposal("decision_tree", {"max_depth": 3}), 0.55)
