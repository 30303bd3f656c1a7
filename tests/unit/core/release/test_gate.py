import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass.core.errors import ConfigError
from aimass.core.release.gate import GateSettings, judge

UNIT = st.floats(0, 1)


def test_a_good_model_passes_and_says_why() -> None:
    verdict = judge({"auc": 0.8}, {"auc": 0.81}, GateSettings(min=0.7, max_drop=0.02))
    assert verdict.ok
    assert all(reason.startswith("passed") for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("metrics", "standing", "gate"),
    [
        ({"auc": 0.6}, None, GateSettings(min=0.7)),
        ({"auc": 0.78}, {"auc": 0.81}, GateSettings(min=0.7, max_drop=0.02)),
        ({"log_loss": 0.9}, None, GateSettings(metric="log_loss", min=0.7)),
        ({"log_loss": 0.6}, {"log_loss": 0.5}, GateSettings(metric="log_loss", min=0.7, max_drop=0.02)),
        ({"auc": math.nan}, None, GateSettings(min=None)),
    ],
)
def test_a_bad_model_is_refused(metrics: dict, standing: dict | None, gate: GateSettings) -> None:
    verdict = judge(metrics, standing, gate)
    assert not verdict.ok
    assert any(reason.startswith("REFUSED") for reason in verdict.reasons)


def test_a_metric_that_nobody_measured_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'f2'.*auc"):
        judge({"auc": 0.8}, None, GateSettings(metric="f2"))


@given(value=UNIT, better=UNIT, standing=UNIT)
def test_a_better_model_is_never_refused_where_a_worse_one_passes(value: float, better: float, standing: float) -> None:
    low, high = sorted([value, better])
    gate = GateSettings(min=0.5, max_drop=0.02)
    if judge({"auc": low}, {"auc": standing}, gate).ok:
        assert judge({"auc": high}, {"auc": standing}, gate).ok
