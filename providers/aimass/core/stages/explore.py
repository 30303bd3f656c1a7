"""explore: look at the training part, say what is odd, and make a page of it."""

from __future__ import annotations

from pydantic import Field

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.core.exploration.explore import explore
from aimass.core.exploration.leakage import LeakageSettings
from aimass.core.exploration.page import exploration_page
from aimass.core.progress import ProgressEvent
from aimass.core.reports import write_report
from aimass.core.settings import InputUri
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult

DOCUMENT = "exploration.json"
MOST_WARNINGS = 50


class ExploreConfig(StageConfig):
    """What to explore."""

    dataset: InputUri = Field(description="The dataset that the split stage made.")
    leakage: LeakageSettings = Field(
        default=LeakageSettings(), description="When a column is suspected of knowing the outcome."
    )


class ExploreResult(StageResult):
    """What explore found."""

    rows: int = Field(description="Rows of the training part.")
    columns: int = Field(description="Number of columns.")
    warnings: list[str] = Field(description="Errors and warnings in words, most urgent first; at most 50.")
    leakage_suspects: list[str] = Field(description="Columns that may know the outcome.")
    report: str = Field(description="URI of the page.")


def _explore(config: ExploreConfig, deps: Deps, output: Output) -> ExploreResult:
    found = explore(open_dataset(config.dataset, deps), config.leakage, deps)
    output.write_file(DOCUMENT, found.model_dump_json(indent=1))
    report = write_report(output, lambda: exploration_page(found))
    warnings = [finding.text for finding in found.findings if finding.level != "info"]
    for text in warnings:
        deps.progress.report(ProgressEvent("warning", message=text))
    return ExploreResult(
        rows=found.rows,
        columns=len(found.columns),
        warnings=warnings[:MOST_WARNINGS],
        leakage_suspects=found.suspects,
        report=report,
    )


STAGE = Stage(
    name="explore",
    config=ExploreConfig,
    result=ExploreResult,
    code_version=2,
    body=_explore,
    modules=("polars",),
)
run = STAGE.run
