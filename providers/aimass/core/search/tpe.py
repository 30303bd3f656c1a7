"""Tree-structured Parzen estimator, by Optuna: model what good and bad points look like, try where they differ most.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field

from aimass.core import settings
from aimass.core.models.base import Dimension
from aimass.core.search.base import Observation, Proposal, Space, contains
from aimass.core.search.quiet import quiet_optuna

FAMILY = "family"


class TPESettings(settings.Settings):
    """What the estimator may be told."""

    startup_trials: int = Field(
        default=8, ge=1, description="Points that are drawn at random before the estimator takes over."
    )
    candidates: int = Field(default=24, ge=1, description="Points that are compared before one is proposed.")


class TPESearch:
    """The family is a categorical; each family's own values are modelled together, apart from the other families'.

    The points of one call know of each other (constant liar), so a round does not try the same place twice.
    """

    Settings: ClassVar[type[settings.Settings]] = TPESettings

    def __init__(self, settings: TPESettings) -> None:
        self.settings = settings

    def propose(
        self, space: Space, observed: Sequence[Observation], count: int, *, seed: int, maximize: bool
    ) -> list[Proposal]:
        """Return `count` points of `space`; see `SearchStrategy.propose`."""
        with quiet_optuna():
            sampler = optuna.samplers.TPESampler(
                seed=seed,
                n_startup_trials=self.settings.startup_trials,
                n_ei_candidates=self.settings.candidates,
                multivariate=True,
                group=True,
                constant_liar=True,
            )
            study = optuna.create_study(sampler=sampler, direction="maximize" if maximize else "minimize")
        for observation in observed:
            trial = _finished(space, observation)
            if trial is not None:
                study.add_trial(trial)
        return [_ask(study, space) for _ in range(count)]


def _distribution(dimension: Dimension) -> BaseDistribution:
    """Return Optuna's word for `dimension`."""
    if dimension.kind == "categorical":
        return CategoricalDistribution(list(dimension.choices))
    assert dimension.low is not None
    assert dimension.high is not None
    if dimension.kind == "int":
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(float(dimension.low), float(dimension.high), log=dimension.log)


def _finished(space: Space, observation: Observation) -> FrozenTrial | None:
    """Return the observation as Optuna's trial, or None where it lies outside the space (another family, a bound)."""
    family, params = observation.proposal.family, observation.proposal.params
    if family not in space or observation.score is None:
        return None
    values: dict[str, Any] = {FAMILY: family}
    distributions: dict[str, BaseDistribution] = {FAMILY: CategoricalDistribution(list(space))}
    for dimension in space[family]:
        value = params.get(dimension.name)
        if not contains(dimension, value):
            return None
        name = f"{family}.{dimension.name}"
        values[name], distributions[name] = value, _distribution(dimension)
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE, params=values, distributions=distributions, value=observation.score
    )


def _ask(study: optuna.Study, space: Space) -> Proposal:
    trial = study.ask()
    family = str(trial.suggest_categorical(FAMILY, list(space)))
    params = {dimension.name: _suggest(trial, family, dimension) for dimension in space[family]}
    return Proposal(family, params)


def _suggest(trial: optuna.Trial, family: str, dimension: Dimension) -> Any:
    name = f"{family}.{dimension.name}"
    if dimension.kind == "categorical":
        return trial.suggest_categorical(name, list(dimension.choices))
    assert dimension.low is not None
    assert dimension.high is not None
    if dimension.kind == "int":
        return trial.suggest_int(name, int(dimension.low), int(dimension.high), log=dimension.log)
    return trial.suggest_float(name, float(dimension.low), float(dimension.high), log=dimension.log)
