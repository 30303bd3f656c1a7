"""What a pipeline's YAML file may say, and which stage each section configures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import ConfigDict, Field, model_validator

from aimass.core.settings import Settings

DAG_PREFIX = "aimass_"
MONITOR_PREFIX = f"{DAG_PREFIX}monitor_"
"""Begins the ids of the DAGs that watch models in use."""
NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,99}$"
# How `join`, which has no section of its own for them, calls what stands at the top of the file.
_JOIN_KEYS = {
    "join": "joins",
    "where": "where",
    "derive": "derive",
    "columns": "columns",
    "id": "id_columns",
    "time": "time_column",
    "target": "target",
}
# Sections that are left out when they are not there, and take their defaults when they are empty.
_MEANT_EMPTY = ("optimize", "release", "approval")

Section = dict[str, Any]


class StageSection(NamedTuple):
    """The configuration of one stage, and where in the YAML it is written.

    Attributes
    ----------
    stage : str
        The verb.
    config : dict
        Its configuration without inputs.
    keys : dict of str to str
        ``{path in the YAML, and in a trigger's conf: key of the configuration}``; the empty key is the whole of it.
    fixed : tuple of str
        Fields that the pipeline itself sets.
    """

    stage: str
    config: dict[str, Any]
    keys: dict[str, str]
    fixed: tuple[str, ...] = ()

    def written(self, key: str) -> str:
        """Return the path in the YAML of the configuration's dotted `key`."""
        head, dot, rest = key.partition(".")
        for path, name in self.keys.items():
            if name == head:
                return f"{path}{dot}{rest}"
        return f"{next((path for path, name in self.keys.items() if not name), self.stage)}.{key}"


class Approval(Settings):
    """Who is asked before a release, and for how long."""

    assigned_users: list[str] = Field(
        default=[], description="Who may answer, by the auth manager's user id; whoever may trigger when empty."
    )
    timeout_hours: float | None = Field(default=72, gt=0, description="How long to wait; for ever when null.")
    on_timeout: Literal["reject", "fail"] = Field(
        default="reject", description="What silence means: the release is skipped, or the run fails."
    )
    language: Literal["en", "zh"] = Field(default="en", description="The language of the question.")


class Pipeline(Settings):
    """One YAML file."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = Field(pattern=NAME_PATTERN, description="Name; the DAG is aimass_<name>, the asset project is <name>.")
    description: str = Field(default="", description="What it answers, in Markdown; shown on the DAG's page.")
    owner: str = Field(default="aimass", description="Who is asked when it fails.")
    schedule: str | None = Field(
        default=None,
        description="Cron expression, preset such as @daily, or @new_data: whenever a source has something new; manual "
        "when empty.",
    )
    compute: str | dict[str, Any] = Field(default="local", description="Where stages run.")
    pool: str | None = Field(
        default=None, description="Airflow pool of the tasks that fit models, so that pipelines share the cores."
    )
    sources: Annotated[dict[str, Section], Field(min_length=1)] = Field(
        description="Tables by name: {type: files, uri: …}; the first one is the base of the joins."
    )
    ingest: Section = Field(default={}, description="Settings of ingest for every source, such as max_reject_share.")
    join: list[Section] = Field(default=[], description="Joins onto the base: {table, on, how, prefix}.")
    where: str | None = Field(default=None, description="SQL condition on the joined rows.")
    derive: dict[str, str] = Field(default={}, description="New columns as SQL expressions.")
    columns: list[str] | None = Field(default=None, description="Columns to keep as features; all when empty.")
    id: list[str] = Field(default=[], description="Columns that identify a row; never features.")
    time: str | None = Field(default=None, description="Column that says when a row happened.")
    target: Section = Field(description="What is predicted: {name, expr, null: drop|error, positive}.")
    split: Section = Field(
        default={}, description="How rows are shared: {type: time, column, …}; by `time`, else at random, when empty."
    )
    explore: Section = Field(default={}, description="Settings of explore.")
    validation: Section = Field(default={}, alias="validate", description="Settings of validate.")
    clean: list[Section] | None = Field(
        default=None, description="Cleaning steps: {type, columns, …}; chosen automatically when left out, none for []."
    )
    features: list[Section] | None = Field(
        default=None, description="Feature steps: {type, columns, …}; chosen automatically when left out."
    )
    train: Section = Field(default={}, description="Models and metric: {models: [{type: lightgbm, …}], seed}.")
    evaluate: Section = Field(default={}, description="Metrics and threshold.")
    optimize: Section | None = Field(default=None, description="Search; left out when the section is.")
    approval: Approval | None = Field(
        default=None, description="true or {assigned_users, timeout_hours, …}: a person approves each release."
    )
    release: Section | None = Field(default=None, description="Release; left out when the section is.")
    notify: list[Section] = Field(
        default=[], description="Who is told what: {type: smtp|apprise, on: [success, failure, refusal, approval], …}."
    )

    @model_validator(mode="before")
    @classmethod
    def _forgive(cls, document: Any) -> Any:
        """Read an empty section as its default, and one name where a list is meant."""
        if not isinstance(document, dict):
            return document
        kept = {key: value for key, value in document.items() if value is not None or key in _MEANT_EMPTY}
        empty: dict[str, Section] = {key: {} for key in _MEANT_EMPTY if key in kept and kept[key] is None}
        ids = {"id": [kept["id"]]} if isinstance(kept.get("id"), str) else {}
        asked = kept.get("approval")
        words: dict[str, Any] = {"approval": {} if asked else None} if isinstance(asked, bool) else {}
        return {**kept, **empty, **ids, **words}

    @property
    def dag_id(self) -> str:
        """Id of the pipeline's DAG."""
        return DAG_PREFIX + self.name

    @property
    def rounds(self) -> int:
        """How many rounds of search the DAG shows."""
        found = (self.optimize or {}).get("rounds", 2)
        return found if isinstance(found, int) and 0 < found <= 20 else 2

    def ingests(self) -> list[StageSection]:
        """Return the sections of `ingest`, one for each source."""
        return [
            StageSection(
                "ingest",
                {**self.ingest, "name": name, "source": source},
                {f"sources.{name}": "source", "ingest": ""},
                ("name",),
            )
            for name, source in self.sources.items()
        ]

    def sections(self) -> Iterator[StageSection]:
        """Yield every stage's section, in the order in which they run."""
        yield from self.ingests()
        yield self._join()
        yield StageSection("split", {"split": self.split or self._default_split()}, {"split": "split"})
        yield StageSection("explore", self.explore, {"explore": ""})
        yield StageSection("validate", self.validation, {"validate": ""})
        yield StageSection("clean", {} if self.clean is None else {"steps": self.clean}, {"clean": "steps"})
        yield StageSection(
            "featurize", {} if self.features is None else {"features": self.features}, {"features": "features"}
        )
        yield StageSection("train", self.train, {"train": ""})
        yield StageSection("evaluate", self.evaluate, {"evaluate": ""}, ("split",))
        if self.optimize is not None:
            yield StageSection("optimize", {"rounds": self.rounds, **self.optimize}, {"optimize": ""})
        if self.release is not None:
            yield StageSection("release", {"name": self.name, **self.release}, {"release": ""})

    def _default_split(self) -> Section:
        """Return a split in time where rows have one: the past trains, the future judges."""
        return {"type": "time", "column": self.time} if self.time else {"type": "random"}

    def _join(self) -> StageSection:
        written = {key: getattr(self, path) for path, key in _JOIN_KEYS.items()}
        config = {key: value for key, value in written.items() if value}
        return StageSection("join", {"base": next(iter(self.sources)), **config}, _JOIN_KEYS)
