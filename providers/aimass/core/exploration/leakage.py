"""Columns that know too much: those that probably did not exist yet when the prediction is to be made.

Four tests, each stated in words in the report:

- *predicts alone*: one column ranks the target almost perfectly, far better than the others do;
- *predicts in a pair*: the difference of two columns of the same kind does (an actual time minus its plan), although
  neither does alone; of the two, the one that says more about the target by itself is the later one;
- *missing pattern*: whether the value is missing tells the target;
- *known with the outcome*: the value is missing where the outcome is unknown too, and hardly elsewhere, so both were
  written down at the same moment. The join stage counts this before it drops rows without a target, and leaves the
  share in the column's tag `NULL_WITH_TARGET`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from pydantic import Field

from aimass.core.exploration.associations import correlation_matrix
from aimass.core.exploration.label import Labels, auc_error, bin_numbers, single_column_auc
from aimass.core.exploration.profile import ColumnProfile, LabelLink, LeakageSuspect
from aimass.core.settings import Settings
from aimass.core.target import NULL_WITH_TARGET
from aimass.core.texts import Text, say

CERTAIN_AUC = 0.99
OUTSTANDING = 2.0
LEAST_PAIR_CORRELATION = 0.5
LEAST_GAIN = 0.1
MOST_PAIRS = 500
MOST_PAIR_COLUMNS = 400
PAIR_ROWS = 20_000
LEAST_DROPPED_ROWS = 20
MOST_SHARE_ELSEWHERE = 0.05
LEAST_LIFT = 10.0
SAFETY_ERRORS = 2.0


class LeakageSettings(Settings):
    """When a column is suspected of knowing the outcome."""

    auc: float = Field(
        default=0.85,
        gt=0.5,
        le=1,
        description="AUC from which a single column, or the difference of two, is too good to be true.",
    )
    missing_auc: float = Field(
        default=0.75, gt=0.5, le=1, description="AUC from which 'the value is missing' is too good to be true."
    )
    missing_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of rows with unknown outcome in which a column is missing too, from which it is suspected.",
    )


@dataclass
class Case:
    """What the tests look at.

    Attributes
    ----------
    columns : list of ColumnProfile
        Columns that may be features (no target, id or time), each with its `label` link.
    sample : polars.DataFrame
        The sample.
    labels : array, shape (n_sample_rows,)
        1 for positive.
    tags : dict
        Tags by column.
    suspects : list of LeakageSuspect
        Filled by the tests.
    """

    columns: list[ColumnProfile]
    sample: pl.DataFrame
    labels: Labels
    tags: dict[str, dict[str, str]]
    suspects: list[LeakageSuspect] = field(default_factory=list)

    def is_suspect(self, name: str) -> bool:
        """Return whether anything speaks against the column yet."""
        return any(suspect.column == name for suspect in self.suspects)

    def accuse(self, column: str, reason: str, figure: float, evidence: Text, partner: str | None = None) -> None:
        """Take down what speaks against a column; once per reason."""
        if not any(suspect.column == column and suspect.reason == reason for suspect in self.suspects):
            document = {"column": column, "reason": reason, "figure": round(figure, 4), "partner": partner}
            self.suspects.append(
                LeakageSuspect.model_validate({**document, "evidence": str(evidence), "said": evidence})
            )


def find_suspects(case: Case, settings: LeakageSettings) -> list[LeakageSuspect]:
    """Run the tests, the most direct one first."""
    if min(int(case.labels.sum()), int((case.labels == 0).sum())) > 0:
        _predicts_alone(case, settings)
        _missing_pattern(case, settings)
    _known_with_outcome(case, settings)
    if case.labels.any():
        _predicts_in_pair(case, settings)
    return case.suspects


def _linked(case: Case) -> list[tuple[ColumnProfile, LabelLink]]:
    return [(column, column.label) for column in case.columns if column.label is not None]


def _predicts_alone(case: Case, settings: LeakageSettings) -> None:
    linked = sorted(_linked(case), key=lambda item: -item[1].auc)
    usual = float(np.median([label.auc for _, label in linked])) if linked else 0.5
    for column, label in linked:
        surely = label.auc - SAFETY_ERRORS * label.auc_error
        stands_out = label.auc - 0.5 >= OUTSTANDING * (usual - 0.5) or label.auc >= CERTAIN_AUC
        if surely >= settings.auc and stands_out:
            text = say(
                "alone it predicts the target with AUC {auc:.2f}; half of the columns stay below {usual:.2f}",
                auc=label.auc,
                usual=usual,
            )
            case.accuse(column.name, "predicts_alone", label.auc, text)


def _missing_pattern(case: Case, settings: LeakageSettings) -> None:
    for column, label in _linked(case):
        error = auc_error(label.missing_auc, case.labels)
        if label.missing_auc - SAFETY_ERRORS * error >= settings.missing_auc:
            missing = case.sample[column.name].is_null().to_numpy()
            positive, negative = missing[case.labels == 1].mean(), missing[case.labels == 0].mean()
            text = say(
                "it is missing in {positive:.1%} of the positive rows and in {negative:.1%} of the others: whether it "
                "is there predicts the target with AUC {auc:.2f}",
                positive=float(positive),
                negative=float(negative),
                auc=label.missing_auc,
            )
            case.accuse(column.name, "missing_pattern", label.missing_auc, text)


def _known_with_outcome(case: Case, settings: LeakageSettings) -> None:
    for column in case.columns:
        tag = case.tags.get(column.name, {}).get(NULL_WITH_TARGET)
        nulls, dropped = json.loads(tag) if tag else (0, 0)
        if dropped < LEAST_DROPPED_ROWS:
            continue
        there, elsewhere = nulls / dropped, column.missing_share
        if there >= settings.missing_share and elsewhere <= min(MOST_SHARE_ELSEWHERE, there / LEAST_LIFT):
            text = say(
                "it is missing in {nulls:,} of the {dropped:,} rows whose outcome is unknown ({there:.1%}) but in "
                "{elsewhere:.1%} of the rows whose outcome is known: it seems to be written down with the outcome",
                nulls=nulls,
                dropped=dropped,
                there=there,
                elsewhere=elsewhere,
            )
            case.accuse(column.name, "known_with_outcome", there, text)


def _predicts_in_pair(case: Case, settings: LeakageSettings) -> None:
    alone = {column.name: label.auc for column, label in _linked(case)}
    direct = {suspect.column for suspect in case.suspects if suspect.reason == "predicts_alone"}
    step = max(1, len(case.labels) // PAIR_ROWS)
    labels = case.labels[::step]
    sample = case.sample.gather_every(step)
    numeric = [c.name for c in case.columns if c.kind in ("numeric", "temporal") and c.distinct > 2 and c.name in alone]
    names = [name for name in numeric if name not in direct][:MOST_PAIR_COLUMNS]
    for left, right in _alike(sample, names):
        difference = (sample[left] - sample[right]).to_numpy()
        auc = single_column_auc(bin_numbers(difference), labels)
        gain = auc - max(alone[left], alone[right])
        if auc - SAFETY_ERRORS * auc_error(auc, labels) >= settings.auc and gain >= LEAST_GAIN:
            _accuse_the_later(case, left, right, auc, alone)


def _alike(sample: pl.DataFrame, names: list[str]) -> list[tuple[str, str]]:
    """Return the pairs of columns that move together, closest first: only their difference can mean something."""
    if len(names) < 2:
        return []
    matrix = np.nan_to_num(correlation_matrix(sample.select(pl.col(names).cast(pl.Float64)).to_numpy()))
    rows, columns = np.triu_indices(len(names), k=1)
    strength = matrix[rows, columns]
    order = np.argsort(-strength, kind="stable")[:MOST_PAIRS]
    return [(names[rows[i]], names[columns[i]]) for i in order if strength[i] >= LEAST_PAIR_CORRELATION]


def _accuse_the_later(case: Case, left: str, right: str, auc: float, alone: dict[str, float]) -> None:
    """Convict the column of the pair that carries the outcome: the one convicted already, or the better predictor."""
    later, plan = sorted((left, right), key=lambda name: (not case.is_suspect(name), -alone[name]))
    text = say(
        "together with {plan} it predicts the target with AUC {auc:.2f} (by their difference), although alone they "
        "reach {first:.2f} and {second:.2f}; of the two, {later} says more about the target",
        plan=plan,
        later=later,
        auc=auc,
        first=alone[later],
        second=alone[plan],
    )
    case.accuse(later, "predicts_in_pair", auc, text, partner=plan)
