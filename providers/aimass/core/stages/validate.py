"""validate: hold every part of the split against a suite of expectations, and refuse to go on when one fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import Field

from aimass.core.artifacts import Artifact
from aimass.core.datasets import Dataset, open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import AimassError, ValidationFailedError
from aimass.core.exploration.profile import Exploration
from aimass.core.manifest import Split
from aimass.core.progress import ProgressEvent
from aimass.core.reports import write_report
from aimass.core.settings import InputUri
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult
from aimass.core.validation.frames import sampled_frame
from aimass.core.validation.outcomes import FailedExpectation, by_expectation, failure
from aimass.core.validation.page import validation_page
from aimass.core.validation.runner import Runner, result_document
from aimass.core.validation.suite import SuiteSettings, build_suite, to_yaml

SUITE = "suite.yaml"
DOCUMENT = "validation.json"
PARTS: tuple[Split, ...] = ("train", "validation", "test")
NAMED_FAILURES = 20
KEPT_FAILURES = 200


class ValidateConfig(StageConfig):
    """What to validate, against which suite."""

    dataset: InputUri = Field(description="The dataset that the split stage made.")
    exploration: InputUri = Field(description="The exploration of its training part; the suite is made from it.")
    suite: SuiteSettings | None = Field(
        default=None, description="Changes to the generated suite (skip, change, add), or a suite of one's own."
    )
    rows: int = Field(
        default=10_000, ge=1, description="Rows of each part to look at, evenly spaced; all of them in smaller parts."
    )


class ValidateResult(StageResult):
    """The verdict."""

    success: bool = Field(description="Whether every expectation holds in every part.")
    evaluated: int = Field(description="Number of expectations, counted once for each part.")
    n_failed: int = Field(description="Number of those that do not hold.")
    failed: list[FailedExpectation] = Field(description="The first 200 that do not hold.")
    report: str = Field(description="URI of the page.")


def _validate(config: ValidateConfig, deps: Deps, output: Output) -> ValidateResult:
    dataset = open_dataset(config.dataset, deps)
    found = Exploration.model_validate(Artifact(config.exploration, deps).read_json("exploration.json"))
    suite = build_suite(found, config.suite or SuiteSettings())
    deps.progress.report(ProgressEvent("loading Great Expectations"))
    runner = Runner(suite)
    parts, entries = _run(runner, dataset, config.rows, deps)
    failed = [failure(entry) for entry in entries if not entry["success"]]
    output.write_file(SUITE, to_yaml(suite))
    seen = {part: rows for part, (rows, _) in parts.items()}
    output.write_file(DOCUMENT, json.dumps(result_document(entries, seen), indent=1, ensure_ascii=False))
    report = write_report(output, lambda: validation_page(suite, entries, parts))
    return ValidateResult(
        success=not failed,
        evaluated=len(entries),
        n_failed=len(failed),
        failed=failed[:KEPT_FAILURES],
        report=report,
    )


def _run(
    runner: Runner, dataset: Dataset, most_rows: int, deps: Deps
) -> tuple[dict[str, tuple[int, int]], list[dict[str, Any]]]:
    """Return rows seen and rows there by part, and the entries of all parts."""
    parts: dict[str, tuple[int, int]] = {}
    entries: list[dict[str, Any]] = []
    columns = runner.columns()
    dataset.require(*columns or [])
    for part in PARTS:
        rows = dataset.rows(part)
        if rows:
            frame = sampled_frame(dataset.scan(part, columns=columns), rows, most_rows)
            entries += runner.run(frame, part, is_first=not parts, tell=_teller(deps, part))
            parts[part] = (len(frame), rows)
    return parts, entries


def _teller(deps: Deps, part: str) -> Callable[[int, int], None]:
    return lambda done, total: deps.progress.report(ProgressEvent(f"expectations on {part}", done, total))


def _refusal(result: ValidateResult) -> AimassError | None:
    if result.success:
        return None
    failed = by_expectation(result.failed)
    named = [f"{item.id} in {', '.join(parts)}: {item.seen} (expected: {item.expected})" for item, parts in failed]
    tail = f"; and {len(named) - NAMED_FAILURES:,} more" if len(named) > NAMED_FAILURES else ""
    return ValidationFailedError(
        f"{result.n_failed:,} of {result.evaluated:,} expectations do not hold: "
        f"{'; '.join(named[:NAMED_FAILURES])}{tail}",
        hint=f"See {result.report}; loosen or skip one under validate: suite: in the pipeline if the data is right",
        failed=[item.model_dump() for item in result.failed],
    )


STAGE = Stage(
    name="validate",
    config=ValidateConfig,
    result=ValidateResult,
    code_version=2,
    body=_validate,
    refusal=_refusal,
    modules=("great_expectations", "pandas", "polars"),
)
run = STAGE.run
