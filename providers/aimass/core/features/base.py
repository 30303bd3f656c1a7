"""What a feature transform is: learns from training rows, then says the same thing to polars and to ONNX."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from aimass.core import settings
from aimass.core.errors import SchemaMismatchError
from aimass.core.features.raw import Kind

if TYPE_CHECKING:
    from aimass.core.features.onnx_builder import GraphBuilder

NUMBERS: tuple[Kind, ...] = ("float", "int", "bool")
CATEGORIES: tuple[Kind, ...] = ("string", "int", "bool")

Selector = Literal["number", "string", "bool", "date"]
"""Stands for all columns of a kind ("number": float and int)."""


@dataclass(frozen=True)
class Variable:
    """One column on its way through the graph.

    Attributes
    ----------
    name : str
        Its name.
    kind : {"string", "float", "int", "bool", "date"}
        What it holds at this point.
    nullable : bool
        Whether it may still be missing at this point.
    """

    name: str
    kind: Kind
    nullable: bool = True


class TransformSettings(settings.Settings):
    """Base of the transforms' settings."""

    columns: tuple[str, ...] | Selector = Field(
        description="Names of the columns, or one of number, string, bool, date for all columns of that kind."
    )


class Transform(ABC):
    """A feature transform.

    A transform that `replaces` gives its columns new values under the same names; one that does not adds derived
    columns and takes the original out of the matrix (later transforms may still read it). What is learned is kept in
    attributes that end in ``_`` and hold JSON-able values; nothing else may change after construction.

    In polars a missing value is null, in ONNX it is NaN (numbers), a true mask (int64) or `NULL_STRING`. Numbers are
    float64 until the very end. A comparison on a computed number is made after rounding to float32, on both engines.

    Parameters
    ----------
    settings : TransformSettings
        An instance of the class's `Settings`.
    """

    Settings: ClassVar[type[settings.Settings]]
    """Its settings, a subclass of `TransformSettings`."""
    accepts: ClassVar[tuple[Kind, ...]]
    """Kinds of columns that it can work on."""
    replaces: ClassVar[bool] = True

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.columns_: list[list[Any]] = []

    def fit(self, frame: pl.LazyFrame, columns: Sequence[Variable]) -> None:
        """Learn from `frame`, which holds training rows only.

        Raises
        ------
        SchemaMismatchError
            One of `columns` is of a kind that this transform does not accept.
        """
        for column in columns:
            if column.kind not in self.accepts:
                raise SchemaMismatchError(
                    f"The transform {self.label()!r} cannot work on {column.name!r}, which holds {column.kind} values",
                    expected=f"a column of kind {' or '.join(self.accepts)}",
                    hint="Convert it with a `types` step in clean, or choose another transform",
                    column=column.name,
                    kind=column.kind,
                )
        self.columns_ = [[column.name, column.kind, column.nullable] for column in columns]
        self._learn(frame)

    @abstractmethod
    def _learn(self, frame: pl.LazyFrame) -> None:
        """Set the learned attributes; called with `columns_` set."""

    @abstractmethod
    def outputs(self) -> list[Variable]:
        """Return the columns that it writes."""

    @abstractmethod
    def expressions(self) -> list[pl.Expr]:
        """Return one polars expression for each of `outputs`, named alike."""

    @abstractmethod
    def nodes(self, builder: GraphBuilder) -> None:
        """Add the ONNX nodes and tell `builder` the new values of `outputs`."""

    def invert(self, name: str, values: Sequence[float]) -> tuple[str, list[float]]:
        """Return the column, and its values, that this transform turns into `values` of its output `name`.

        Serves the making of rows at a model's thresholds; the identity where values pass unchanged.
        """
        return name, list(values)

    @property
    def variables(self) -> list[Variable]:
        """The columns that it was fitted on."""
        return [Variable(*column) for column in self.columns_]

    @property
    def names(self) -> list[str]:
        """Names of the columns that it was fitted on."""
        return [column[0] for column in self.columns_]

    @classmethod
    def label(cls) -> str:
        """Return the name for people and messages."""
        return cls.__name__

    def state(self) -> dict[str, Any]:
        """Return what was learned, JSON-able."""
        return {name: value for name, value in vars(self).items() if name.endswith("_")}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned."""
        vars(self).update(state)


def number(name: str) -> pl.Expr:
    """Return the column `name` as float64, whatever kind of number it holds."""
    return pl.col(name).cast(pl.Float64)


def indicator_name(column: str) -> str:
    """Return the name of the column that says where `column` was missing."""
    return f"{column}_missing"
