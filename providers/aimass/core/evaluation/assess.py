"""From scored rows to the evaluation of a candidate, and to what a reader must know before trusting it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from aimass.core.evaluation import measure
from aimass.core.evaluation.base import Scored
from aimass.core.evaluation.curves import (
    Counts,
    calibration,
    calibration_error,
    confusion,
    precision_recall_curve,
    roc_curve,
    threshold_table,
)
from aimass.core.evaluation.document import CandidateEvaluation, Caution, FeatureImportance
from aimass.core.reports import PART_NAMES
from aimass.core.texts import Text, say

MAX_IMPORTANCE = 200

TINY_ROWS = 1000
TINY_CLASS_ROWS = 100
WEAK_AUC = 0.55
SUSPICIOUS_AUC = 0.98
CALIBRATION_GAP = 0.05
VALIDATION_GAP = 0.05


def assess(
    name: str,
    family: str,
    scored: Scored,
    *,
    metrics: Iterable[str],
    importance: Sequence[FeatureImportance],
) -> CandidateEvaluation:
    """Return everything that is said about one candidate."""
    counts, bins = Counts.of(scored), calibration(scored)
    return CandidateEvaluation(
        name=name,
        family=family,
        metrics=measure(metrics, scored),
        threshold=scored.threshold,
        confusion=confusion(scored),
        roc=roc_curve(counts),
        precision_recall=precision_recall_curve(counts),
        thresholds=threshold_table(scored),
        calibration=bins,
        calibration_error=calibration_error(bins),
        importance=list(importance),
    )


def ranked_importance(names: Sequence[str], shares: npt.NDArray[np.float64]) -> list[FeatureImportance]:
    """Return the features by falling importance, at most `MAX_IMPORTANCE` of them."""
    order = np.argsort(-shares, kind="stable")[:MAX_IMPORTANCE]
    return [FeatureImportance(feature=names[index], share=float(shares[index])) for index in order]


def cautions(best: CandidateEvaluation, *, split: str, validation_auc: float) -> list[Caution]:
    """Return what a reader must know before trusting the figures of the best candidate, the worst first.

    Parameters
    ----------
    best : CandidateEvaluation
        The best candidate, evaluated on `split`.
    split : {"validation", "test"}
        The evaluated part.
    validation_auc : float
        Its AUC on the validation part.
    """
    auc = measured_auc(best)
    found = [
        *_on_size(best, split),
        *_on_level(auc),
        *_on_calibration(best),
    ]
    if split == "test" and validation_auc - auc > VALIDATION_GAP:
        said = say(
            "AUC is {auc:.3f} on the test part and was {before:.3f} on validation: the data may change over time, or "
            "too much was tried on the validation part.",
            auc=auc,
            before=validation_auc,
        )
        found.append(_caution("warning", "gap", said))
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(found, key=lambda caution: order[caution.level])


def _caution(level: Literal["error", "warning"], code: str, said: Text) -> Caution:
    return Caution(level=level, code=code, text=str(said), said=said)


def measured_auc(candidate: CandidateEvaluation) -> float:
    """Return the area under the candidate's thinned ROC curve; needed also where AUC is not among the metrics."""
    if "auc" in candidate.metrics:
        return candidate.metrics["auc"]
    return float(np.trapezoid(candidate.roc.y, candidate.roc.x))


def _on_size(best: CandidateEvaluation, split: str) -> list[Caution]:
    counts = best.confusion
    positives = counts.true_positives + counts.false_negatives
    negatives = counts.false_positives + counts.true_negatives
    if positives + negatives >= TINY_ROWS and min(positives, negatives) >= TINY_CLASS_ROWS:
        return []
    # The standard error of the AUC by Hanley and McNeil (1982).
    auc = measured_auc(best)
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    error = (variance / (positives * negatives)) ** 0.5
    said = say(
        "The {part} part is small ({positives:,} positive and {negatives:,} negative rows): the AUC is good to about "
        "± {error:.3f}.",
        part=PART_NAMES[split],
        positives=positives,
        negatives=negatives,
        error=1.96 * error,
    )
    return [_caution("warning", "tiny_part", said)]


def _on_level(auc: float) -> list[Caution]:
    if auc > SUSPICIOUS_AUC:
        said = say(
            "AUC {auc:.3f} is too good to be trusted: look for a feature that is known only after the event.", auc=auc
        )
        return [_caution("error", "suspicious", said)]
    if auc < WEAK_AUC:
        said = say(
            "AUC {auc:.3f} is hardly better than guessing (0.5): the features say little about the target.", auc=auc
        )
        return [_caution("error", "weak", said)]
    return []


def _on_calibration(best: CandidateEvaluation) -> list[Caution]:
    error = best.calibration_error
    # Small bins miss the mark by chance: this much on average where the probabilities are right.
    variances = [item.predicted * (1 - item.predicted) / item.rows for item in best.calibration]
    chance = float(np.mean(np.sqrt(2 / np.pi * np.array(variances))))
    if error - chance <= CALIBRATION_GAP:
        return []
    said = say(
        "The probabilities are off by {error:.2f} on average: use them to rank rows, not as probabilities.", error=error
    )
    return [_caution("warning", "calibration", said)]
