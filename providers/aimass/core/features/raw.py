r"""Raw columns, and the specification of the canonicaliser: what happens to them before the graph, everywhere.

ONNX can neither trim, nor fold case, nor normalise Unicode, nor parse; so this small specification stands before it,
with two faces that the tests hold equal: polars expressions (`canonical`) and plain Python (`canonical_rows`).
This module imports neither polars nor ONNX, so that a server may start without them.

1. Text is trimmed of Unicode white space (`WHITE_SPACE`), put in lower case where `fold_case` asks for it, and brought
   to normal form C. What is then empty is missing.
2. Text becomes what `kind` says, and is missing where it is not of that form (ASCII digits only):

   - float: ``[+-]digits[.digits][e[+-]digits]``;
   - int: ``[+-]`` and up to 18 digits;
   - bool: true, t, yes, y, 1 / false, f, no, n, 0, in any case;
   - date: ISO 8601 ``YYYY-MM-DD``, optionally ``T`` or a space and ``hh:mm[:ss[.ffffff]]``, optionally ``Z`` or
     ``±hh:mm``; without an offset it is UTC.

3. Numbers: NaN and infinities are missing. A float becomes an int where it is whole and below 2\ :sup:`53`, and is
   missing elsewhere. An int becomes a date by its `unit` since 1970 UTC. An int becomes text by its decimal digits.
4. Dates are int64 microseconds since 1970 UTC, cut to whole microseconds; outside the years 1 to 9999 they are missing.
5. Booleans are 0 and 1.

Doing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field

from aimass.core import settings

if TYPE_CHECKING:
    from aimass.core.manifest import Column

Kind = Literal["string", "float", "int", "bool", "date"]
"""What a column holds inside the graph; dates are int64 microseconds since 1970 UTC."""

KINDS: tuple[Kind, ...] = get_args(Kind)

MASK_SUFFIX = "__missing"
"""Ends the name of the boolean input that marks the missing values of an int64 input."""

WHITE_SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
    "\u205f\u3000"
)
FLOAT_TEXT = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
INT_TEXT = r"^[+-]?[0-9]{1,18}$"
DATE_TEXT = (
    r"^([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"(?:[T ]([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:\.([0-9]{1,6}))?)?"
    r"(Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?$"
)
TRUE_TEXTS = ("true", "t", "yes", "y", "1")
FALSE_TEXTS = ("false", "f", "no", "n", "0")
UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}
EARLIEST_US = int(datetime(1, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
LATEST_US = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * 1_000_000 + 999_999
EXACT_INT = 1 << 53

CONVERSIONS: dict[Kind, tuple[Kind, ...]] = {
    "string": ("string", "float", "int", "bool", "date"),
    "float": ("float", "int"),
    "int": ("int", "float", "string", "date"),
    "bool": ("bool", "int", "float"),
    "date": ("date",),
}
"""What each native kind can be turned into before the graph."""


class RawColumn(settings.Settings):
    """One raw column and what the canonicaliser makes of it."""

    name: str = Field(description="Name of the column.")
    type: str = Field(description="Its Arrow type in the dataset that split wrote.")
    kind: Kind = Field(description="What it holds in the graph.")
    fold_case: bool = Field(default=False, description="Whether text is put in lower case.")
    unit: Literal["s", "ms", "us"] = Field(default="us", description="Unit of an integer that is read as a date.")

    @property
    def native(self) -> Kind:
        """The kind that goes with the Arrow type."""
        found = kind_of(self.type)
        assert found is not None, f"{self.name}: {self.type} was refused when the column was declared"
        return found


def kind_of(arrow_type: str) -> Kind | None:
    """Return what a column of this Arrow type holds, or None where no transform could use it."""
    table: list[tuple[tuple[str, ...], Kind]] = [
        (("string", "dictionary", "null"), "string"),
        (("bool",), "bool"),
        (("int", "uint"), "int"),
        (("double", "float", "halffloat", "decimal"), "float"),
        (("date", "timestamp"), "date"),
    ]
    return next((kind for starts, kind in table if arrow_type.startswith(starts)), None)


def raw_columns(columns: Iterable[Column]) -> list[RawColumn]:
    """Return the plain specification of those `columns` that transforms can use."""
    found = [(column, kind_of(column.type)) for column in columns]
    return [RawColumn(name=column.name, type=column.type, kind=kind) for column, kind in found if kind is not None]
