"""Give columns their types, cell by cell where one does not fit, without a Python loop over rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from aimass.core.errors import ConfigError, UnknownNameError
from aimass.core.reserved import NULL_STRING
from aimass.core.schemas import empty_table

FIRST_VALUES = 100
UTC_TIMESTAMP = pa.timestamp("us", "UTC")

TYPES: dict[str, pa.DataType] = {
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "integer": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "float": pa.float64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "bool": pa.bool_(),
    "string": pa.large_string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamp_utc": UTC_TIMESTAMP,
}

SPELLINGS = {
    TYPES[name]: name for name in ("integer", "double", "boolean", "string", "date", "timestamp", "timestamp_utc")
}
"""How a configuration names the types that are inferred from values."""

Fault = tuple[int, str]
"""A row's index and why it does not fit."""


def named_type(name: str, *, column: str) -> pa.DataType:
    """Return the Arrow type that a configuration calls `name`."""
    if name not in TYPES:
        raise UnknownNameError("column type", name, TYPES, column=column)
    return TYPES[name]


def apply_overrides(schema: pa.Schema, types: dict[str, str]) -> pa.Schema:
    """Return `schema` with the types that the configuration sets by name."""
    for name, wanted in types.items():
        if name not in schema.names:
            raise UnknownNameError("column in `types`", name, schema.names)
        schema = schema.set(schema.get_field_index(name), pa.field(name, named_type(wanted, column=name)))
    return schema


def cast_table(table: pa.Table, schema: pa.Schema) -> tuple[pa.Table, list[Fault]]:
    """Cast `table` to `schema`, name by name.

    Returns
    -------
    table : pyarrow.Table
        The rows in which every cell fits.
    faults : list of (int, str)
        For each other row its index in the input and the first reason, sorted by index.
    """
    if not table.num_rows:
        # On no chunks at all, Arrow's indices_nonzero breaks the process.
        return empty_table(schema), []
    faults: dict[int, str] = {}
    columns = []
    for field in schema:
        column = table.column(field.name)
        if pa.types.is_large_binary(column.type) and not pa.types.is_large_binary(field.type):
            column = _cast(column, pa.large_string(), f"column {field.name}: not valid text", faults)
        column = _cast(column, field.type, f"column {field.name}: not {_spelled(field.type)}", faults)
        _refuse_reserved(column, field.name, faults)
        columns.append(column)
    cast = pa.table(columns, schema=schema)
    if faults:
        keep = pc.invert(pc.is_in(pa.array(range(table.num_rows)), pa.array(list(faults), pa.int64())))
        cast = cast.filter(keep)
    return cast, sorted(faults.items())


def cast_together(tables: Sequence[pa.Table | None], schema: pa.Schema) -> tuple[pa.Table, list[list[Fault]]]:
    """Cast `tables`, or their None for no rows, as one: a call per column costs the same for few rows as for many.

    Returns
    -------
    table : pyarrow.Table
        The rows of all in which every cell fits.
    faults : list of list of (int, str)
        For each table what `cast_table` says, with indices into that table.
    """
    rows, found = [], list[list[Fault]]()
    for kind, run in itertools.groupby(tables, lambda table: table is not None and table.schema):
        if kind is False:
            found.extend([] for _ in run)
            continue
        group = [table for table in run if table is not None]
        joined = group[0] if len(group) == 1 else pa.concat_tables(group).combine_chunks()
        part, faults = cast_table(joined, schema)
        rows.append(part)
        found.extend(_shares(faults, [table.num_rows for table in group]))
    return rows[0] if len(rows) == 1 else pa.concat_tables([empty_table(schema), *rows]), found


def convert(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """Cast all of `values`; an ArrowInvalid when one of them does not fit.

    Blanks around numbers, dates and booleans are ignored. A timestamp without a zone is no UTC timestamp, and the
    other way round.
    """
    if values.type == target:
        return values
    if not pa.types.is_large_string(values.type):
        return pc.cast(values, target)
    try:
        found = pc.cast(values, target)
    except pa.ArrowInvalid:
        values = pc.utf8_trim_whitespace(values)
        found = pc.cast(values, target)
    if pa.types.is_integer(target) and _has_letter_x(values):
        # Arrow reads 0x1F as a number; in a table it is a code.
        raise pa.ArrowInvalid("a hexadecimal code is no number")
    return found


def fits(values: pa.ChunkedArray, target: pa.DataType) -> bool:
    """Return whether every value can be cast to `target`."""
    try:
        # Where nothing fits, Arrow words an error for each value: a few tell that sooner than all.
        convert(values[:FIRST_VALUES], target)
        convert(values, target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def valid_text(values: pa.Array) -> pa.Array:
    """Return the values that are valid UTF-8, as strings."""
    if fits(values, pa.large_string()):
        return convert(values, pa.large_string())
    bad = pa.concat_arrays(_misfits(values, pa.large_string()))
    return convert(values.filter(pc.invert(pc.is_in(values, value_set=bad))), pa.large_string())


def _shares(faults: Sequence[Fault], sizes: Sequence[int]) -> Iterator[list[Fault]]:
    """Yield the faults of each of several tables that were joined, with indices into that table."""
    begin, at = 0, 0
    for size in sizes:
        first = at
        while at < len(faults) and faults[at][0] < begin + size:
            at += 1
        yield [(index - begin, reason) for index, reason in faults[first:at]]
        begin += size


def _cast(column: pa.ChunkedArray, target: pa.DataType, reason: str, faults: dict[int, str]) -> pa.ChunkedArray:
    try:
        return convert(column, target)
    except pa.ArrowNotImplementedError as error:
        raise ConfigError(
            f"{reason}: {column.type} cannot become {target}", hint="Change or drop its entry in `types`"
        ) from error
    except pa.ArrowInvalid:
        # Bad cells are few different values, however many rows they stand in.
        is_bad = pc.is_in(column, value_set=pa.concat_arrays(_misfits(pc.unique(column).drop_null(), target)))
        for index in pc.indices_nonzero(is_bad).to_pylist():
            faults.setdefault(index, reason)
        return convert(pc.if_else(is_bad, pa.scalar(None, column.type), column), target)


def _has_letter_x(values: pa.ChunkedArray) -> bool:
    return any(pc.any(pc.match_substring(values, letter)).as_py() for letter in "xX")


def _misfits(values: pa.Array, target: pa.DataType) -> list[pa.Array]:
    """Return the values that do not fit, found by halving."""
    if fits(values, target):
        return []
    if len(values) == 1:
        return [values]
    half = len(values) // 2
    return _misfits(values[:half], target) + _misfits(values[half:], target)


def _refuse_reserved(column: pa.ChunkedArray, name: str, faults: dict[int, str]) -> None:
    # Comparing with a scalar imports pandas where that is installed (0.3 s, 45 MB), so that is left for the rare case.
    if pa.types.is_large_string(column.type) and pc.any(pc.starts_with(column, NULL_STRING)).as_py():
        for index in pc.indices_nonzero(pc.equal(column, NULL_STRING)).to_pylist():
            faults.setdefault(index, f"column {name}: the value that stands for null")


def _spelled(wanted: pa.DataType) -> str:
    return next((name for name, known in TYPES.items() if known == wanted), str(wanted))
