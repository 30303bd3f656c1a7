from __future__ import annotations

import numpy as np
import pytest

from aimass.core.evaluation.assess import assess, cautions, ranked_importance
from aimass.core.evaluation.base import Scored
from aimass.core.evaluation.document import CandidateEvaluation, Evaluation
from aimass.core.evaluation.report import draw_plots, report_html
from aimass.core.texts import say


def candidate(*, rows: int = 4000, strength: float = 1.0, inflate: float = 0.0, name: str = "m") -> CandidateEvaluation:
    rng = np.random.default_rng(0)
    logit = rng.normal(size=rows) * strength
    probability = 1 / (1 + np.exp(-logit))
    y = (rng.random(rows) < probability).astype(np.int8)
    shown = np.clip(probability + inflate, 0, 1)
    importance = ranked_importance(["<b>a", "b"], np.array([0.25, 0.75]))
    return assess(name, "lightgbm", Scored(y, shown, 0.5), metrics=["auc", "f1"], importance=importance)


@pytest.mark.parametrize(
    ("best", "codes"),
    [
        (candidate(), []),
        (candidate(rows=300), ["tiny_part"]),
        (candidate(strength=0.05), ["weak"]),
        (candidate(strength=40.0), ["suspicious"]),
        (candidate(inflate=0.2), ["calibration"]),
    ],
    ids=["good", "tiny", "weak", "suspicious", "off"],
)
def test_what_stands_out_is_said(best: CandidateEvaluation, codes: list[str]) -> None:
    assert [caution.code for caution in cautions(best, split="test", validation_auc=best.metrics["auc"])] == codes


def test_a_fall_from_validation_to_test_is_said() -> None:
    found = cautions(candidate(), split="test", validation_auc=0.95)
    assert [caution.code for caution in found] == ["gap"]


def test_importance_is_ranked() -> None:
    assert [item.feature for item in candidate().importance] == ["b", "<b>a"]


def test_the_report_escapes_what_users_named() -> None:
    name = "<script>x"
    best = candidate(name=name)
    evaluation = Evaluation(
        split="validation",
        rows=4000,
        positives=2000,
        classes=["<i>no", "<i>yes"],
        best=name,
        threshold_rule="best_f1",
        candidates=[best, candidate(name="other")],
        warnings=cautions(best, split="validation", validation_auc=0.5),
    )
    html = report_html(evaluation, draw_plots(evaluation), title=say("{name}", name="<u>flights"))
    for raw in ("<script", "<i>no", "<i>yes", "<b>a", "<u>"):
        assert raw not in html
    assert "&lt;script&gt;x" in html
