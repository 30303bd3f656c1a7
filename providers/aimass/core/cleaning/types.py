"""Settle what columns hold: trim and fold text, read numbers, booleans and dates out of it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from aimass.core import settings
from aimass.core.cleaning.base import Cleaning, StepReport
from aimass.core.errors import ConfigError
from aimass.core.features.raw import CONVERSIONS, Kind, RawColumn


class TypesSettings(settings.Settings):
    """Settings of the step `types`."""

    columns: tuple[str, ...] | None = Field(default=None, description="The columns; all text columns when left out.")
    to: Kind | None = Field(
        default=None, description="What they hold: string, float, int, bool or date; as they come when left out."
    )
    fold_case: bool = Field(default=False, description="Put text in lower case.")
    unit: Literal["s", "ms", "us"] = Field(default="us", description="Unit of whole numbers that are read as dates.")

    @model_validator(mode="after")
    def _conversion_names_columns(self) -> Self:
        if self.to is not None and self.columns is None:
            raise ValueError("`to` needs `columns`")
        return self


class Types:
    """Edits the canonical form of raw columns; what cannot be read is missing afterwards, and counted as touched."""

    Settings = TypesSettings

    def __init__(self, settings: Any) -> None:
        self.settings: TypesSettings = settings

    def apply(self, work: Cleaning) -> list[StepReport]:
        """Change the canonical form."""
        columns = work.columns(self.settings.columns, kinds=("string",))
        raw = {column.name: column for column in work.raw}
        work.convert([self._converted(raw[column.name]) for column in columns])
        return [work.report_types([column.name for column in columns])]

    def _converted(self, column: RawColumn) -> RawColumn:
        kind = self.settings.to or column.kind
        if kind not in CONVERSIONS[column.native]:
            raise ConfigError(
                f"Column {column.name!r} holds {column.native} values, which do not turn into {kind}",
                known=CONVERSIONS[column.native],
                column=column.name,
            )
        edited = {"kind": kind, "fold_case": self.settings.fold_case, "unit": self.settings.unit}
        return column.model_copy(update=edited)
