"""How a table's columns may change from one read to the next, and how rows of one schema become rows of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aimass.core.errors import SchemaMismatchError, missing_column

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Merged:
    """The schema that holds the rows of two others, and in what the later one differs from the earlier one.

    Attributes
    ----------
    schema : pyarrow.Schema
        The earlier columns in their order, then the new ones; of two types the wider one.
    added, lost : tuple of str
        Columns of only the later, of only the earlier schema.
    widened : tuple of str
        Columns whose type has become wider, as ``name: old → new``.
    is_wider : bool
        Whether rows of the earlier schema are not yet rows of `schema`.
    """

    schema: pa.Schema
    added: tuple[str, ...]
    lost: tuple[str, ...]
    widened: tuple[str, ...]

    @property
    def is_wider(self) -> bool:
        """Whether rows of the earlier schema are not yet rows of `schema`."""
        return bool(self.added or self.widened)


def merge_schemas(before: pa.Schema, now: pa.Schema, *, inferred: bool = False) -> Merged:
    """Return the schema that holds the rows of both.

    Parameters
    ----------
    before, now : pyarrow.Schema
        The earlier and the later one.
    inferred : bool
        Whether the types were guessed from values: whole numbers were then taken for int64 only because there was no
        other number among them, so double is the wider type. Whoever casts them checks that a double holds each.

    Raises
    ------
    SchemaMismatchError
        A column has got a type that holds no values of the old one, nor the old one its.
    """
    import pyarrow as pa

    fields, widened = [], []
    for field in before:
        later = now.field(field.name).type if field.name in now.names else field.type
        wider = field.type if later == field.type else _wider(field.name, field.type, later, inferred=inferred)
        if wider != field.type:
            widened.append(f"{field.name}: {field.type} → {wider}")
        fields.append(pa.field(field.name, wider))
    added = tuple(name for name in now.names if name not in before.names)
    lost = tuple(name for name in before.names if name not in now.names)
    return Merged(pa.schema([*fields, *(now.field(name) for name in added)]), added, lost, tuple(widened))


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the rows of `table` with the columns and types of `schema`, nulls where it has no such column.

    Raises
    ------
    SchemaMismatchError
        `table` has a column that `schema` lacks, or values that do not fit.
    """
    import pyarrow as pa

    if table.schema == schema:
        return table
    for name in table.schema.names:
        if name not in schema.names:
            raise missing_column(name, schema.names, where="the schema of this read")
    arrays = []
    for field in schema:
        found = field.name in table.schema.names
        arrays.append(_cast(table[field.name], field) if found else pa.nulls(table.num_rows, field.type))
    return pa.table(arrays, schema=schema)


def _cast(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    import pyarrow as pa

    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaMismatchError(
            f"Values of the column {field.name!r} do not fit: {error}",
            expected=f"{field.type}, as earlier rows have it",
            hint="Read it anew under another `name`, or mend the values where they come from",
            column=field.name,
        ) from error


def empty_table(schema: pa.Schema) -> pa.Table:
    """Return a table without rows.

    Arrow's own method imports pandas where that is installed: 0.3 s and 45 MB.
    """
    import pyarrow as pa

    return pa.table([pa.nulls(0, field.type) for field in schema], schema=schema)


def _wider(name: str, before: pa.DataType, now: pa.DataType, *, inferred: bool) -> pa.DataType:
    """Return which of two types holds the values of both."""
    import pyarrow as pa

    if inferred and {before, now} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if _holds(now, before):
        return now
    if _holds(before, now):
        return before
    raise SchemaMismatchError(
        f"The column {name!r} has become {now}",
        expected=f"{before}, as earlier reads have it, or a wider type",
        hint="Set the column's type in the source's settings, or read it anew under another `name`",
        column=name,
    )


def _holds(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Return whether every value of `narrow` is one of `wide`, without loss."""
    import pyarrow.types as t

    if t.is_null(narrow):
        return True
    if t.is_integer(narrow):
        return _holds_integers(wide, narrow)
    if t.is_floating(narrow):
        return t.is_floating(wide) and bool(wide.bit_width >= narrow.bit_width)
    if t.is_decimal(narrow):
        return t.is_decimal(wide) and _digits(wide) >= _digits(narrow) and bool(wide.scale >= narrow.scale)
    if t.is_date(narrow):
        return bool(t.is_date64(wide) or (t.is_timestamp(wide) and wide.tz is None))
    if t.is_timestamp(narrow):
        units = ("s", "ms", "us", "ns")
        return t.is_timestamp(wide) and wide.tz == narrow.tz and units.index(wide.unit) >= units.index(narrow.unit)
    return False


def _holds_integers(wide: pa.DataType, narrow: pa.DataType) -> bool:
    import pyarrow.types as t

    signed = t.is_signed_integer(narrow)
    if t.is_integer(wide):
        sign_fits = t.is_signed_integer(wide) == signed
        if sign_fits:
            return bool(wide.bit_width >= narrow.bit_width)
        return not signed and bool(wide.bit_width > narrow.bit_width)
    if t.is_floating(wide):
        # A double holds integers of 53 bits, a float of 24.
        return bool(narrow.bit_width <= wide.bit_width // 2)
    return bool(t.is_decimal(wide)) and _digits(wide) >= len(str(2**narrow.bit_width))


def _digits(decimal: pa.DataType) -> int:
    """Return how many digits a decimal has before the point."""
    return int(decimal.precision - decimal.scale)
