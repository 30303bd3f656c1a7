"""The profile: what a model was made with and what it answered then, kept with the version as ``profile.json``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aimass.core.datasets import collect
from aimass.core.errors import CorruptDataError
from aimass.core.features.canonical import canonical
from aimass.core.features.raw import RawColumn
from aimass.core.monitoring.log import LABEL, PROBABILITY
from aimass.core.monitoring.sketches import NumberSketch, Sketch, TextSketch

PROFILE_FILE = "profile.json"
FORMAT_VERSION = 1
SAMPLE_CELLS = 4_000_000
SAMPLE_ROWS = 100_000
ROWS_AT_ONCE = 65_536
LEAST_STEP = 4


class Truth(BaseModel):
    """The true classes of the test part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(description="Rows of the test part.")
    positives: int = Field(description="Of these, the ones of the positive class.")


class Profile(BaseModel):
    """Sketches of the raw columns and of the answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = Field(default=FORMAT_VERSION, description="Version of this document's format.")
    raw: list[RawColumn] = Field(description="The raw columns, in the order of the graph's inputs.")
    columns: dict[str, Sketch] = Field(
        description="Sketch of each raw column; for the reference: of the training part."
    )
    answers: dict[str, Sketch] = Field(
        default_factory=dict, description="Sketches of probability and label; for the reference: on held-out rows."
    )
    truth: Truth | None = Field(default=None, description="The true classes of the test part.")

    @classmethod
    def of_frame(cls, frame: pl.LazyFrame, raw: Sequence[RawColumn], rows: int) -> Profile:
        """Return the profile of a reference.

        Every k-th row (at least every fourth) chooses the bins, and the others are counted: bins that are chosen by the
        rows they count make the reference look more regular than it is, and the window drifted where it is not.

        Parameters
        ----------
        frame : LazyFrame
            Raw rows.
        raw : sequence of RawColumn
            The columns of interest.
        rows : int
            How many there are.

        Raises
        ------
        SchemaMismatchError
            A column is missing or of another type.
        """
        wanted = max(1_000, min(SAMPLE_ROWS, SAMPLE_CELLS // max(1, len(raw))))
        step = max(LEAST_STEP, math.ceil(rows / wanted))
        frame = frame.select([column.name for column in raw])
        sample = collect(canonical(frame.gather_every(step), raw))
        empty = {column.name: _fit(sample[column.name], column) for column in raw}
        pieces = (
            frame.slice(start, ROWS_AT_ONCE).filter(pl.int_range(start, start + pl.len()) % step != 0)
            for start in range(0, rows, ROWS_AT_ONCE)
        )
        return cls(raw=list(raw), columns=_counted((canonical(piece, raw) for piece in pieces), empty))

    def with_answers(self, answers: Iterable[pl.DataFrame], truth: Truth | None = None) -> Profile:
        """Return the profile together with the answers to held-out rows; every fourth one chooses the bins.

        Parameters
        ----------
        answers : iterable of DataFrame
            Columns ``__probability`` and ``__label``.
        truth : Truth, optional
            The true classes of the test part.
        """
        rows = pl.concat(list(answers))
        probability = NumberSketch.fit(rows.gather_every(LEAST_STEP)[PROBABILITY], "float")
        counted = rows.filter(pl.int_range(pl.len()) % LEAST_STEP != 0)
        fitted = {
            PROBABILITY: probability.of(counted[PROBABILITY]),
            LABEL: NumberSketch.fit(pl.Series([0, 1]), "bool").of(counted[LABEL]),
        }
        return self.model_copy(update={"answers": fitted, "truth": truth})

    def window(self, pieces: Iterable[pl.LazyFrame], raw: Sequence[RawColumn] | None = None) -> Profile:
        """Return the profile of other rows in the same bins.

        Parameters
        ----------
        pieces : iterable of LazyFrame
            Raw rows in canonical form with ``__probability`` and ``__label``, as the prediction log has them; one
            piece is held at a time.
        raw : sequence of RawColumn, optional
            Only these columns; all of them when None.
        """
        columns = list(self.raw if raw is None else raw)
        wanted = {column.name: self.columns[column.name] for column in columns}
        rows = (piece.with_columns(_physical(columns)) for piece in pieces)
        found = _counted(rows, {**wanted, **self.answers})
        answers = {name: found.pop(name) for name in self.answers}
        return self.model_copy(update={"raw": columns, "columns": found, "answers": answers, "truth": None})

    def merge(self, other: Profile) -> Profile:
        """Return the profile of both sides' rows.

        Raises
        ------
        DataError
            They have other columns or bins: both must come from one reference.
        """
        return self.model_copy(
            update={
                "columns": _merged(self.columns, other.columns),
                "answers": _merged(self.answers, other.answers),
                "truth": None,
            }
        )

    def document(self) -> dict[str, Any]:
        """Return the profile, JSON-able."""
        return self.model_dump(mode="json")

    @classmethod
    def from_document(cls, document: Any) -> Profile:
        """Return the profile that `document` describes; raises CorruptDataError where it is of another format."""
        try:
            profile = cls.model_validate(document)
        except ValidationError as error:
            raise CorruptDataError(f"This is not a profile: {error.errors()[0]['msg']}") from error
        if profile.format_version != FORMAT_VERSION:
            raise CorruptDataError(
                f"This profile has format_version {profile.format_version}",
                expected=str(FORMAT_VERSION),
                hint="Release the model again",
            )
        return profile


def _fit(sample: pl.Series, column: RawColumn) -> Sketch:
    return TextSketch.fit(sample) if column.kind == "string" else NumberSketch.fit(sample, column.kind)


def _physical(columns: Sequence[RawColumn]) -> list[pl.Expr]:
    """Return what turns logged booleans and times into the numbers of the canonical form."""
    moments = [pl.col(column.name).dt.timestamp("us") for column in columns if column.kind == "date"]
    return moments + [pl.col(column.name).cast(pl.Int64) for column in columns if column.kind == "bool"]


def _counted(pieces: Iterable[pl.LazyFrame], empty: Mapping[str, Sketch]) -> dict[str, Sketch]:
    found = {name: sketch.emptied() for name, sketch in empty.items()}
    for piece in pieces:
        rows = collect(piece.select(list(empty)))
        found = _merged(found, {name: sketch.of(rows[name]) for name, sketch in empty.items()})
    return found


def _merged(one: Mapping[str, Sketch], other: Mapping[str, Sketch]) -> dict[str, Sketch]:
    # Sketches of one column are of one class; where they are not, their bins differ, which `merge` refuses.
    return {name: sketch.merge(other[name]) for name, sketch in one.items()}  # type: ignore[arg-type]
