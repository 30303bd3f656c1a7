"""One trial: from a point of the space to a fitted model and its score on the validation part."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from aimass.core.backends import backend_of
from aimass.core.datasets import Dataset
from aimass.core.deps import Deps
from aimass.core.errors import AimassError, TransientError
from aimass.core.evaluation import DEFAULT_METRICS, measure
from aimass.core.evaluation.base import Scored
from aimass.core.matrix import Matrix, load_matrix
from aimass.core.models import MODELS
from aimass.core.models.base import ModelFamily
from aimass.core.models.candidates import CandidateSpec, check_matrix
from aimass.core.search.base import Proposal
from aimass.core.search.study import StudyStore, Trial


@dataclass(frozen=True)
class TrialRunner:
    """Fits on the training part and scores on the validation part; never sees the test part.

    Attributes
    ----------
    dataset : Dataset
        The featurize stage's output; read when the first trial needs it.
    metric : str
        What a trial's score is.
    seed : int
        The same for every trial, so that scores differ by the point alone.
    fixed : mapping
        By family: the hyper-parameters that are not searched.
    """

    dataset: Dataset
    metric: str
    seed: int
    fixed: Mapping[str, Mapping[str, Any]]

    @cached_property
    def train(self) -> Matrix:
        """The training part."""
        return self._part("train")

    @cached_property
    def validation(self) -> Matrix:
        """The validation part."""
        return self._part("validation")

    def spec(self, proposal: Proposal, name: str) -> CandidateSpec:
        """Return the model that `proposal` asks for; a ConfigError where its values do not go together."""
        document = {**self.fixed.get(proposal.family, {}), **proposal.params, "type": proposal.family}
        _, settings = backend_of(MODELS, document)
        return CandidateSpec(name=name, family=proposal.family, settings=settings)

    def fit(self, spec: CandidateSpec) -> tuple[ModelFamily, dict[str, float]]:
        """Return the fitted model and every metric on the validation part."""
        model = spec.build()
        model.fit(self.train, self.validation, seed=self.seed)
        scored = Scored(self.validation.y, model.predict_proba(self.validation.X))
        return model, measure(dict.fromkeys([*DEFAULT_METRICS, self.metric]), scored)

    def run(self, study: StudyStore, trial: Trial, deps: Deps) -> None:
        """Fit and score one trial and write what came out into the study.

        A family that refuses its point or the data makes a failed trial; what may pass by itself is raised.
        """
        study.claim(trial)
        deps.failpoints.hit("trial_claimed")
        begun = time.monotonic()
        score: float | None = None
        outcome: dict[str, Any] = {}
        with study.heartbeats(trial):
            try:
                _, metrics = self.fit(self.spec(trial.proposal, f"trial_{trial.number}"))
                score, outcome = metrics[self.metric], {"metrics": metrics}
            except (TransientError, MemoryError, OSError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever the library throws is this point's own failure
                outcome = {
                    "reason": str(error) if isinstance(error, AimassError) else f"{type(error).__name__}: {error}"
                }
        deps.failpoints.hit("before_tell")
        study.finish(trial, score=score, outcome={**outcome, "seconds": round(time.monotonic() - begun, 3)})
        deps.failpoints.hit("after_tell")

    def _part(self, split: Any) -> Matrix:
        matrix = load_matrix(self.dataset, split)
        check_matrix(matrix, "training" if split == "train" else split)
        return matrix
