"""The form for an ad-hoc training: flat fields that every kind of source shares, and the pipeline they stand for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import core_schema

from aimass.core.errors import nearest_name
from aimass.core.evaluation import METRICS
from aimass.core.models import DEFAULT_MODELS, MODELS
from aimass.core.registry import Registry
from aimass.core.search import SEARCHES
from aimass.core.settings import LocationMarker, Settings, has_marker
from aimass.pipelines.model import NAME_PATTERN, Pipeline, Section

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

TABLE = "rows"
"""Name of the one table that a form's source becomes."""
MAX_ROUNDS = 4
"""The DAG has the tasks of so many rounds; those that a form does without are skipped."""
LEAST_TRAINING_SHARE = 0.1


@dataclass(frozen=True)
class NameOf:
    """A note on a text field: only the names in `registry` are taken, and a form offers them as choices."""

    registry: Registry[Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Check the name after its type."""
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the choices."""
        return {**handler(schema), "enum": self.registry.names()}

    def _known(self, name: str) -> str:
        known = self.registry.names()
        if name not in known:
            nearest = nearest_name(name, known)
            hint = f"did you mean {nearest!r}?" if nearest else f"known: {', '.join(known)}"
            raise ValueError(f"Unknown {self.registry.family} {name!r}, {hint}")
        return name


def _possible_name(name: str) -> str:
    if not re.match(NAME_PATTERN, name):
        raise ValueError("use up to 100 English letters, digits and _, beginning with a letter")
    return name


def _without_blanks(names: list[str]) -> list[str]:
    """Leave out the empty lines of a text box, and what stands twice."""
    return list(dict.fromkeys(name.rstrip("\r\n") for name in names if name.strip()))


Columns = Annotated[list[str], AfterValidator(_without_blanks)]
"""Names of columns, one a line."""


class TrainForm(Settings):
    """What every ad-hoc training asks, whatever its rows come from; a form for a source adds that source's fields.

    Each field has a title, a description and a section for the trigger form; see `aimass.pipelines.forms.form_params`.
    """

    example: ClassVar[dict[str, Any]] = {"name": "example", "target": "target"}
    """Values for the fields without defaults; a subclass adds its own."""

    name: Annotated[str, AfterValidator(_possible_name)] = Field(
        title="Model name",
        description="The model is released under this name: English letters, digits and _, beginning with a letter.",
        json_schema_extra={"section": "Question", "pattern": NAME_PATTERN},
    )
    target: str = Field(
        min_length=1,
        title="Target column",
        description="The column to be predicted; it has two different values. Rows without one are left out.",
        json_schema_extra={"section": "Question"},
    )
    positive: str | None = Field(
        default=None,
        title="Positive class",
        description="The value whose probability is predicted, such as yes; when empty true, or the greater one.",
        json_schema_extra={"section": "Question"},
    )
    time_column: str | None = Field(
        default=None,
        title="Time column",
        description="When a row happened. With it the past trains and the future judges; never learned from.",
        json_schema_extra={"section": "Data"},
    )
    id_columns: Columns = Field(
        default=[],
        title="Identifying columns",
        description="Columns that say which row it is, such as an order number, one a line; never learned from.",
        json_schema_extra={"section": "Data"},
    )
    columns: Columns = Field(
        default=[],
        title="Columns to learn from",
        description="Names of columns, one a line; all columns when empty. Leave out what is not known yet at the time "
        "of a prediction.",
        json_schema_extra={"section": "Data"},
    )
    split: Literal["auto", "random", "stratified", "time"] = Field(
        default="auto",
        title="Split",
        description="How rows are shared between training, validation and test: auto is by time where there is a time "
        "column, else stratified; stratified keeps the mix of the two classes.",
        json_schema_extra={"section": "Judging"},
    )
    validation_share: float = Field(
        default=0.15,
        ge=0.01,
        le=0.8,
        title="Validation share",
        description="Share of the rows that choose between models.",
        json_schema_extra={"section": "Judging"},
    )
    test_share: float = Field(
        default=0.15,
        ge=0.01,
        le=0.8,
        validate_default=True,
        title="Test share",
        description="Share of the rows that are looked at once, at the end, to judge the chosen model.",
        json_schema_extra={"section": "Judging"},
    )
    metric: Annotated[str, NameOf(METRICS)] = Field(
        default="auc",
        title="Metric",
        description="The figure on the validation part that decides which model is best.",
        json_schema_extra={"section": "Judging"},
    )
    families: list[Annotated[str, NameOf(MODELS)]] = Field(
        default=list(DEFAULT_MODELS),
        min_length=1,
        title="Model families",
        description="The kinds of model that are fitted and searched.",
        json_schema_extra={"section": "Models"},
    )
    strategy: Annotated[str, NameOf(SEARCHES)] = Field(
        default="tpe",
        title="Search strategy",
        description="How settings of the models are proposed: tpe learns from what was found, random does not.",
        json_schema_extra={"section": "Models"},
    )
    trials: int = Field(
        default=16,
        ge=1,
        le=1000,
        title="Trials",
        description="How many settings are tried in all.",
        json_schema_extra={"section": "Models"},
    )
    rounds: int = Field(
        default=2,
        ge=1,
        le=MAX_ROUNDS,
        title="Rounds",
        description="In how many rounds they are tried; each round learns from those before it.",
        json_schema_extra={"section": "Models"},
    )
    max_minutes: float | None = Field(
        default=None,
        ge=0.1,
        le=10_000,
        title="Time for the search (minutes)",
        description="No trial begins later than this; no limit when empty.",
        json_schema_extra={"section": "Models"},
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**31,
        title="Seed",
        description="Decides everything random: the same rows, fields and seed give the same model.",
        json_schema_extra={"section": "Models"},
    )
    approval: bool = Field(
        default=True,
        title="Ask before releasing",
        description="A person looks at the figures and approves before the model is released.",
        json_schema_extra={"section": "Release"},
    )

    language: Literal["en", "zh"] = Field(
        default="en",
        title="Language of the question",
        description="In which language that person is asked.",
        json_schema_extra={"section": "Release"},
    )

    @model_validator(mode="before")
    @classmethod
    def _forgive(cls, values: Any) -> Any:
        """Read what a form leaves empty as the field's default."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None and value != ""}

    @field_validator("time_column", "id_columns", "columns")
    @classmethod
    def _columns_have_one_part(cls, value: Any, info: ValidationInfo) -> Any:
        named = [value] if isinstance(value, str) else value or []
        taken = {info.data.get("target"): "the target"}
        if info.field_name == "id_columns":
            taken[info.data.get("time_column")] = "the time column"
        for name in named if info.field_name != "columns" else ():
            if name in taken:
                raise ValueError(f"{name!r} is {taken[name]} already")
        if info.field_name == "columns" and named:
            others = {info.data.get("target"), info.data.get("time_column"), *info.data.get("id_columns", ())}
            if not set(named) - others:
                raise ValueError("no column is left to learn from: these are the target, the time or identifiers")
        return value

    @field_validator("split")
    @classmethod
    def _split_has_its_column(cls, split: str, info: ValidationInfo) -> str:
        if split == "time" and "time_column" in info.data and info.data["time_column"] is None:
            raise ValueError("a split by time needs the time column")
        return split

    @field_validator("test_share")
    @classmethod
    def _shares_leave_rows_for_training(cls, test: float, info: ValidationInfo) -> float:
        validation = info.data.get("validation_share", 0.0)
        if validation + test > 1 - LEAST_TRAINING_SHARE:
            raise ValueError(
                f"validation and test together take {validation + test:.0%} of the rows; at least "
                f"{LEAST_TRAINING_SHARE:.0%} must be left for training"
            )
        return test

    def source(self) -> Section:
        """Return where the rows come from, as the pipeline's YAML says it: ``{"type": …}``."""
        raise TypeError(f"{type(self).__name__} does not say where its rows come from")

    def document(self) -> dict[str, Any]:
        """Return the pipeline that the form stands for, in the shape of its YAML."""
        optional = {"columns": self.columns, "id": self.id_columns, "time": self.time_column}
        positive = {} if self.positive is None else {"positive": self.positive}
        search = {"seed": self.seed, "metric": self.metric}
        limit = {} if self.max_minutes is None else {"max_minutes": self.max_minutes}
        return {
            "name": self.name,
            "sources": {TABLE: self.source()},
            **{key: value for key, value in optional.items() if value},
            "target": {"name": self.target, "null": "drop", **positive},
            "split": self._split(),
            "train": {**search, "models": [{"type": family} for family in self.families]},
            "optimize": {
                **search,
                "families": self.families,
                "strategy": {"type": self.strategy},
                "trials": self.trials,
                "rounds": min(self.rounds, self.trials),
                **limit,
            },
            "approval": self.approval,
            "release": {"name": self.name},
        }

    def pipeline(self) -> Pipeline:
        """Return the same as a model."""
        return Pipeline.model_validate(self.document())

    def section(self, stage: str) -> dict[str, Any]:
        """Return the configuration of `stage`, without its inputs."""
        return next(section.config for section in self.pipeline().sections() if section.stage == stage)

    def locations(self) -> Iterator[tuple[str, str]]:
        """Yield ``(field, path)`` of every path or URI that the form names."""
        for name, info in type(self).model_fields.items():
            if has_marker(info, LocationMarker):
                yield name, getattr(self, name)

    def _split(self) -> Section:
        shares = {"validation": self.validation_share, "test": self.test_share}
        kind = ("time" if self.time_column else "stratified") if self.split == "auto" else self.split
        if kind == "time":
            return {"type": "time", "column": self.time_column, **shares}
        column = {"column": self.target} if kind == "stratified" else {}
        return {"type": kind, **column, "seed": self.seed, **shares}
