"""The trigger form of a pipeline's DAG: flat fields that change one run, all empty for what its file says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from aimass.core.evaluation import METRICS
from aimass.core.models import MODELS
from aimass.core.search import SEARCHES
from aimass.core.settings import Settings
from aimass.operators.sections import FORM_FIELDS
from aimass.pipelines.forms.base import NameOf
from aimass.pipelines.forms.params import form_params
from aimass.pipelines.model import Pipeline

if TYPE_CHECKING:
    from airflow.sdk import Param

# These rules have both shares; of another only its own settings are known to exist.
_SPLITS_WITH_SHARES = ("time", "group", "stratified", "random")


class PipelineForm(Settings):
    """What a run of a pipeline may do otherwise than its file says.

    A field is called as the section of the conf that it is, or stands for what `FORM_FIELDS` says.
    """

    where: str | None = Field(
        default=None,
        title="Rows to learn from",
        description="SQL condition on the joined rows.",
        json_schema_extra={"section": "Data"},
    )
    validation_share: float | None = Field(
        default=None,
        ge=0.01,
        le=0.8,
        title="Validation share",
        description="Share of the rows that choose between models.",
        json_schema_extra={"section": "Judging"},
    )
    test_share: float | None = Field(
        default=None,
        ge=0.01,
        le=0.8,
        title="Test share",
        description="Share of the rows that are looked at once, at the end, to judge the chosen model.",
        json_schema_extra={"section": "Judging"},
    )
    metric: Annotated[str, NameOf(METRICS)] | None = Field(
        default=None,
        title="Metric",
        description="The figure on the validation part that decides which model is best.",
        json_schema_extra={"section": "Judging"},
    )
    families: list[Annotated[str, NameOf(MODELS)]] = Field(
        default=[],
        title="Model families",
        description="The kinds of model that are fitted and searched; each keeps the settings that are written for it.",
        json_schema_extra={"section": "Models"},
    )
    strategy: Annotated[str, NameOf(SEARCHES)] | None = Field(
        default=None,
        title="Search strategy",
        description="How settings of the models are proposed.",
        json_schema_extra={"section": "Models"},
    )
    trials: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        title="Trials",
        description="How many settings are tried in all.",
        json_schema_extra={"section": "Models"},
    )
    max_minutes: float | None = Field(
        default=None,
        ge=0.1,
        le=10_000,
        title="Time for the search (minutes)",
        description="No trial begins later than this.",
        json_schema_extra={"section": "Models"},
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        lt=2**31,
        title="Seed",
        description="Decides everything random.",
        json_schema_extra={"section": "Models"},
    )
    alias: str | None = Field(
        default=None,
        title="Alias",
        description="The alias that clients load the released model by.",
        json_schema_extra={"section": "Release"},
    )


def pipeline_params(pipeline: Pipeline) -> dict[str, Param]:
    """Return the fields that `pipeline` has a use for; each tells what is written."""
    sections = {section.stage: section.config for section in pipeline.sections()}
    params: dict[str, Param] = {}
    for name, param in form_params(PipelineForm).items():
        if _has_use(name, sections):
            param.description = f"{param.description} {_written(name, pipeline, sections)}"
            params[name] = param
    return params


def _has_use(name: str, sections: dict[str, Any]) -> bool:
    """Return whether a section that the field changes is there."""
    if name == "validation_share" and sections["split"]["split"].get("type") not in _SPLITS_WITH_SHARES:
        return False
    return name not in FORM_FIELDS or any(place.partition(".")[0] in sections for place in FORM_FIELDS[name])


def _written(name: str, pipeline: Pipeline, sections: dict[str, Any]) -> str:
    """Return what holds while the field is empty, in a few words."""
    if name not in FORM_FIELDS:
        value = getattr(pipeline, name)
        return f"When empty, as written: {value}." if value else "All when empty."
    section, _, key = FORM_FIELDS[name][0].partition(".")
    written = sections["split"]["split"] if section == "split" else sections[section]
    value = written.get(key)
    if key == "models" and value:
        value = ", ".join(dict.fromkeys(str(model.get("type")) for model in value))
    if key == "strategy" and value:
        value = value.get("type")
    return f"When empty, as written: {value}." if value else "When empty, the usual."
