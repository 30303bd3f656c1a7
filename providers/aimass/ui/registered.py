"""Registered models as pages show them: the registry's versions, the store's certificate and card, the ledger."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from aimass.core.deps import Deps
from aimass.core.errors import AimassError
from aimass.core.evaluation import DEFAULT_METRICS, METRICS
from aimass.core.features.graph import GRAPH_FILE, FeatureGraph
from aimass.core.release.base import METRICS_TAG, ModelRegistry, RegisteredModel, Version
from aimass.core.release.certificate import Certificate
from aimass.core.release.ledger import AliasMove, Ledger
from aimass.core.release.pieces import CARD_FILE, CERTIFICATE_FILE, OUTPUT_TAG
from aimass.core.release.promotion import PREVIOUS, open_registry
from aimass.pipelines.forms import dag_of_project
from aimass.ui.outputs import PublishedOutput, published
from aimass.ui.patience import patiently

CHAMPION = "champion"
REGISTRY = "model registry"
MOST_MODELS = 100
MAIN_METRICS = ("auc", "average_precision", "f1")


@dataclass(frozen=True)
class ModelLine:
    """A model in the list.

    Attributes
    ----------
    model : RegisteredModel
        Name, pipeline, aliases.
    dag_id : str
        The DAG of its pipeline.
    versions : list of Version
        The newest first.
    champion : Version or None
        What ``champion`` points at.
    move : AliasMove or None
        How it came to that, where the ledger tells.
    """

    model: RegisteredModel
    dag_id: str
    versions: list[Version]
    champion: Version | None
    move: AliasMove | None

    @property
    def shown(self) -> Version | None:
        """The version whose figures are shown: the champion, or the newest."""
        return self.champion or next(iter(self.versions), None)


@dataclass(frozen=True)
class Run:
    """A run, as the ledger names it: ``<dag_id>/<run_id>``."""

    dag_id: str
    run_id: str


@dataclass(frozen=True)
class Released:
    """What a release left in the store.

    Attributes
    ----------
    output : PublishedOutput
        The release's output.
    certificate : Certificate or None
        Its parity certificate.
    card : str
        The card, in Markdown.
    graph : FeatureGraph or None
        What turns raw columns into features.
    """

    output: PublishedOutput
    certificate: Certificate | None
    card: str
    graph: FeatureGraph | None


def model_lines(deps: Deps, may_read: Callable[[str], bool]) -> tuple[list[ModelLine], int]:
    """Return the models whose DAG may be read, at most `MOST_MODELS`, and how many more there are.

    Raises
    ------
    UnreachableError
        The registry does not answer.
    """
    readable = functools.cache(may_read)
    registry = registry_of(deps)
    models = patiently(registry.models, whom=REGISTRY)
    ours = [model for model in models if model.project and readable(dag_of_project(model.project))]
    lines = patiently(lambda: [_line(deps, registry, model) for model in ours[:MOST_MODELS]], whom=REGISTRY)
    return lines, len(ours) - len(lines)


def registry_of(deps: Deps) -> ModelRegistry:
    """Return the registry that releases go to unless a pipeline says otherwise."""
    return open_registry({"type": "mlflow"}, deps)


def find_model(deps: Deps, name: str) -> tuple[RegisteredModel, list[Version]] | None:
    """Return a model and its versions, the newest first; None where no pipeline has registered one of that name."""
    registry = registry_of(deps)
    model = patiently(lambda: registry.model(name), whom=REGISTRY)
    if model is None or not model.project:
        return None
    return model, patiently(lambda: registry.versions(name), whom=REGISTRY)


def aliases_of(model: RegisteredModel, version: Version) -> list[str]:
    """Return the aliases that point at `version`."""
    return sorted(alias for alias, number in model.aliases.items() if number == version.version)


def metrics_of(version: Version) -> dict[str, float]:
    """Return what the version reached on the test part, the usual metrics first."""
    try:
        found = json.loads(version.tags.get(METRICS_TAG, "{}"))
    except ValueError:
        return {}
    kept = {str(name): float(value) for name, value in found.items() if isinstance(value, (int, float))}
    ranks = {name: rank for rank, name in enumerate(DEFAULT_METRICS)}
    return dict(sorted(kept.items(), key=lambda item: (ranks.get(item[0], len(ranks)), item[0])))


def best_version(metric: str, values: Mapping[str, float]) -> str | None:
    """Return the version with the best value; None where all are equal, or nobody knows the metric."""
    finite = {version: value for version, value in values.items() if math.isfinite(value)}
    if metric not in METRICS.names() or len(set(finite.values())) < 2:
        return None
    sign = 1 if METRICS.load(metric).greater_is_better else -1
    return max(finite, key=lambda version: sign * finite[version])


def alias_moves(deps: Deps, name: str) -> tuple[list[AliasMove], str]:
    """Return the ledger's entries, oldest first, and what is wrong with their chain."""
    try:
        return Ledger(deps, name).entries(), ""
    except (AimassError, ValueError) as error:
        return [], str(error)


def past_the_ledger(model: RegisteredModel, moves: Sequence[AliasMove]) -> dict[str, str]:
    """Return the aliases that do not point where the ledger's last entry says, with the version that it says or ""."""
    recorded = {move.alias: move.new_version for move in moves}
    standing = {alias: number for alias, number in model.aliases.items() if alias != PREVIOUS}
    return {alias: recorded.get(alias, "") for alias, number in standing.items() if recorded.get(alias) != number}


def run_of(moves: Sequence[AliasMove], version: Version) -> Run | None:
    """Return the run that put `version` into use first, as the ledger has it."""
    move = next((move for move in moves if move.new_version == version.version), None)
    return run_of_move(move) if move is not None else None


def run_of_move(move: AliasMove) -> Run | None:
    """Return the run that moved the alias; None where it was moved outside Airflow."""
    return run_of_task(move.run_id)


def run_of_task(told: str) -> Run | None:
    """Return the run that a stage was told it belongs to; None outside Airflow."""
    dag_id, slash, run_id = told.partition("/")
    return Run(dag_id, run_id) if slash and run_id else None


def released(deps: Deps, model: RegisteredModel, version: Version) -> Released | None:
    """Return what the release of `version` left in the store; None where it is gone, or is another pipeline's."""
    try:
        output = published(deps, version.tags.get(OUTPUT_TAG, ""))
    except AimassError:
        return None
    # Tags can be edited in the registry: they must not open what belongs to somebody else.
    if output.manifest.project != model.project:
        return None
    return Released(output, _certificate(output), _card(output), _graph(output))


def _line(deps: Deps, registry: ModelRegistry, model: RegisteredModel) -> ModelLine:
    versions = registry.versions(model.name)
    standing = model.aliases.get(CHAMPION)
    champion = next((version for version in versions if version.version == standing), None)
    if champion is None and standing is not None:
        champion = registry.aliased(model.name, CHAMPION)
    try:
        move = Ledger(deps, model.name).last(CHAMPION)
    except AimassError:
        move = None  # a broken chain is told on the model's own page
    if move is not None and move.new_version != standing:
        move = None  # the alias was moved past the ledger: idem
    return ModelLine(model, dag_of_project(model.project), versions, champion, move)


def _certificate(output: PublishedOutput) -> Certificate | None:
    try:
        return Certificate.model_validate_json(output.read(CERTIFICATE_FILE))
    except (AimassError, ValidationError):
        return None


def _card(output: PublishedOutput) -> str:
    try:
        return output.read(CARD_FILE).decode("utf-8", errors="replace")
    except AimassError:
        return ""


def _graph(output: PublishedOutput) -> FeatureGraph | None:
    uri = next((reference.uri for reference in output.manifest.inputs if reference.field == "features"), "")
    try:
        features = published(output.deps, uri)
        if features.manifest.project != output.manifest.project:
            return None
        return FeatureGraph.from_document(json.loads(features.read(GRAPH_FILE)))
    except (AimassError, ValueError):
        return None
