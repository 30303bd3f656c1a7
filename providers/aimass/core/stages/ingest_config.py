"""What an ingest reads and what it tells."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from aimass.core.backends import BackendOf, backend_of
from aimass.core.deps import Deps
from aimass.core.settings import OutsideKeyMarker, has_marker
from aimass.core.sources import SOURCES
from aimass.core.sources.base import Source
from aimass.core.stages.base import StageConfig, StageResult

Rule = Literal["error", "accept"]


class IngestConfig(StageConfig):
    """What to read."""

    name: str = Field(description="Name of the table that the source becomes.")
    source: Annotated[dict[str, Any], BackendOf(SOURCES)] = Field(
        description="The source: `type` names its kind, the other keys are that kind's settings."
    )
    max_reject_share: float = Field(
        default=0.01, ge=0, le=1, description="Share of rows that may be kept aside before the stage fails."
    )
    mode: Literal["full", "incremental", "snapshot"] = Field(
        default="full",
        description="full: all rows as they stand. incremental: what is new since the last time. snapshot: all rows of "
        "one moment, from sources that can give that.",
    )
    keep: Literal["all", "new"] = Field(
        default="all",
        description="Of an incremental read, the rows of the dataset: all so far, or only the new ones.",
    )
    on_added_column: Rule = Field(
        default="error", description="What an incremental read does about a column that was not there before."
    )
    on_widened_type: Rule = Field(
        default="error", description="What an incremental read does about a type that has become wider."
    )
    on_lost_column: Rule = Field(
        default="error", description="What an incremental read does about a column that is gone; accept: nulls."
    )
    partition: Any = Field(
        default=None, description="One piece of the source's position, dealt by ingest_plan; the whole when empty."
    )

    @field_validator("source")
    @classmethod
    def _is_known(cls, value: dict[str, Any]) -> dict[str, Any]:
        backend_of(SOURCES, value)
        return value

    @model_validator(mode="after")
    def _source_can(self) -> IngestConfig:
        kind = SOURCES.load(self.source["type"])
        if self.mode == "snapshot" and not getattr(kind, "consistent", False):
            raise ValueError(f"a source of type {self.source['type']!r} cannot give all rows of one moment: use full")
        settings = backend_of(SOURCES, self.source)[1]
        if self.mode == "snapshot" and (hint := getattr(settings, "not_consistent", None)):
            raise ValueError(f"the source, as it is set, does not give all rows of one moment: {hint}")
        return self

    @property
    def is_chained(self) -> bool:
        """Whether the output is a link of a chain; a piece of one is an output of its own."""
        return self.mode == "incremental" and self.partition is None

    def key_document(self) -> dict[str, Any]:
        """Return what a full read's key depends on, besides the source's position."""
        document = self.model_dump(mode="json", include={"name", "max_reject_share"})
        return {
            **document,
            "source": self.source_document(),
            **({"mode": self.mode} if self.mode == "snapshot" else {}),
        }

    def source_document(self) -> dict[str, Any]:
        """Return what is set of the source, without what does not change its rows."""
        fields = SOURCES.load(self.source["type"]).Settings.model_fields
        outside = {name for name, info in fields.items() if has_marker(info, OutsideKeyMarker)}
        return {name: value for name, value in self.source.items() if name not in outside}


class IngestResult(StageResult):
    """What was read."""

    rows: int = Field(default=0, description="Rows of the dataset.")
    earlier_rows: int = Field(default=0, description="Of these, the rows that earlier incremental reads brought.")
    link: int | None = Field(default=None, description="The number of this incremental read, from 0.")
    rejected: int = Field(default=0, description="Rows kept aside because they do not fit.")
    reject_reasons: dict[str, int] = Field(default_factory=dict, description="Number of rejected rows by reason.")
    reject_examples: list[str] = Field(default_factory=list, description="The first rejected rows: place and reason.")
    max_reject_share: float = Field(default=1.0, description="Share of rejected rows that is allowed.")

    @property
    def has_too_many_rejects(self) -> bool:
        """Whether more rows of this read were kept aside than is allowed.

        Where all are allowed to be, a link of a chain may have no row that fits: others came before, or will follow.
        """
        read = self.rows - self.earlier_rows + self.rejected
        has_none = self.link is None and 0 < self.rejected == read
        return self.rejected > self.max_reject_share * read or has_none


def open_source(config: IngestConfig, deps: Deps) -> Source:
    """Return the source, which opens nothing yet."""
    backend, settings = backend_of(SOURCES, config.source)
    return backend(settings, deps)
