"""Apply the configured cleaning steps, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aimass.core.backends import backend_of
from aimass.core.cleaning import CLEANING
from aimass.core.cleaning.base import Cleaning, CleanStep, StepReport
from aimass.core.errors import ConfigError, UnknownNameError
from aimass.core.features import FEATURES
from aimass.core.features.statistics import missing_counts
from aimass.core.progress import Progress, ProgressEvent

AUTOMATIC_STEPS: tuple[dict[str, Any], ...] = ({"type": "missing"}, {"type": "duplicates"})


def apply_steps(work: Cleaning, steps: Sequence[Mapping[str, Any]] | None, progress: Progress) -> list[StepReport]:
    """Apply `steps` to `work`, the automatic ones when None; report what each did.

    The canonical form of text is settled and columns without any value are dropped whatever the steps are.
    """
    chosen = AUTOMATIC_STEPS if steps is None else steps
    reports = [] if any(step.get("type") == "types" for step in chosen) else [_plain_types(work)]
    is_trimmed = False
    for index, step in enumerate(chosen):
        if not is_trimmed and step.get("type") != "types":
            is_trimmed = True
            drop_empty_columns(work)
        progress.report(ProgressEvent("cleaning steps", index, len(chosen), "steps", str(step.get("type"))))
        reports += _apply(work, step)
    if not is_trimmed:
        drop_empty_columns(work)
    return reports


def _plain_types(work: Cleaning) -> StepReport:
    return work.report_types([column.name for column in work.columns(None, kinds=("string",))])


def _apply(work: Cleaning, step: Mapping[str, Any]) -> list[StepReport]:
    found = step_of(step)
    return [work.add_transform(step)] if found is None else found.apply(work)


def step_of(document: Mapping[str, Any]) -> CleanStep | None:
    """Return the step that `document` describes, None for a transform that is a step; mistakes are ConfigErrors."""
    name = document.get("type")
    if isinstance(name, str) and name not in CLEANING.names():
        if name not in FEATURES.names():
            raise UnknownNameError("cleaning step", name, [*CLEANING.names(), *value_transforms()])
        backend_of(FEATURES, dict(document))
        return None
    kind, settings = backend_of(CLEANING, dict(document))
    return kind(settings)


def value_transforms() -> list[str]:
    """Return the names of the feature transforms that change values in place, and so are cleaning steps too."""
    return [name for name in FEATURES.names() if FEATURES.load(name).replaces]


def drop_empty_columns(work: Cleaning) -> None:
    """Drop columns without any value in the training rows, with a warning: nothing can be learned from them."""
    names, rows = list(work.variables), work.train_rows()
    if rows == 0:
        raise ConfigError("There are no training rows to clean", hint="Widen the split's training share")
    for name, missing in zip(names, missing_counts(work.train, names) if names else [], strict=True):
        if missing == rows:
            work.drop_column(name, "no value in the training rows")
            work.warnings.append(f"Column {name!r} has no value in the training rows and was dropped")
