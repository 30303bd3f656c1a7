"""JSON objects as rows: all values of a batch at once by Arrow; one by one where that finds a fault."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.json

from aimass.core.errors import EmptyDataError
from aimass.core.sources.casting import SPELLINGS, apply_overrides, named_type
from aimass.core.sources.inference import MOMENTS, infer_type
from aimass.core.sources.kafka.decoding import Decoded, UndecodableError, decode_each, selected, text_of, typed

BLOCK_BYTES = 1 << 20
FEW_VALUES = 256
INTEGERS = range(-(2**63), 2**63)
EXACT_INTEGERS = 2.0**53
MINUS_ZERO = -0.0
_CONSTANT = re.compile(rb"[\s:,\[-](?:NaN|Inf)")

# The kinds of JSON values that Arrow reads straight into a column; anything else travels as text.
WIRE_TYPES = (pa.bool_(), pa.int64(), pa.float64())


class JsonDecoder:
    """Objects whose keys are columns; a key that is missing is null, one that is no column is left out.

    Nested objects and arrays become their JSON text. Of a key that stands twice, the last value counts.

    Parameters
    ----------
    found : pyarrow.Schema
        The columns with the types that the values have as JSON.
    types : mapping of str to str
        Other types for single columns, by their names in a configuration.
    """

    def __init__(self, found: pa.Schema, types: Mapping[str, str]) -> None:
        self.schema = apply_overrides(found, dict(types))
        kinds = [field.type if field.type in WIRE_TYPES else pa.large_string() for field in found]
        self._wire = pa.schema(list(zip(found.names, kinds, strict=True)))
        self._cells = [(name, _CELLS[kind]) for name, kind in zip(found.names, kinds, strict=True)]

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """Return the rows of `values`."""
        return typed(self._decoded(values), self.schema, len(values))

    def decode_slowly(self, values: Sequence[bytes]) -> Decoded:
        """Return the same rows, each value parsed by itself."""
        return typed(decode_each(values, self._wire, self._record), self.schema, len(values))

    def _decoded(self, values: Sequence[bytes]) -> Decoded:
        rows = self._at_once(values)
        if rows is not None:
            return Decoded(rows, [])
        if len(values) <= FEW_VALUES:
            return decode_each(values, self._wire, self._record)
        half = len(values) // 2
        first, second = self._decoded(values[:half]), self._decoded(values[half:])
        faults = first.faults + [(half + index, reason) for index, reason in second.faults]
        return Decoded(pa.concat_tables([first.rows, second.rows]), faults)

    def _at_once(self, values: Sequence[bytes]) -> pa.Table | None:
        """Return one row for each of `values`, or None where one of them may be faulty or needs a closer look."""
        if not values or not all(value[:1] == b"{" and value[-1:] == b"}" for value in values):
            return None
        data = b"\n".join(values)
        if data.count(b"\n") != len(values) - 1 or not _is_text(data) or _may_hold_constants(data):
            return None
        longest = max(map(len, values)) if len(data) > BLOCK_BYTES else 0
        options = pyarrow.json.ParseOptions(explicit_schema=self._wire, unexpected_field_behavior="ignore")
        try:
            found = pyarrow.json.read_json(
                # Not a Python file: Arrow's threads read on after an error, when that may be gone.
                pa.BufferReader(data),
                read_options=pyarrow.json.ReadOptions(block_size=max(BLOCK_BYTES, longest + 2)),
                parse_options=options,
            )
        except pa.ArrowInvalid:
            return None
        # Each line begins with { and ends with }, and between } and { no object can go on: as many rows as lines are
        # one row a line.
        return found.select(self._wire.names) if found.num_rows == len(values) else None

    def _record(self, value: bytes) -> list[Any]:
        try:
            record = parse_object(value)
        except RecursionError:
            return self._deep_record(value)
        cells = []
        for name, cell in self._cells:
            try:
                cells.append(cell(record.get(name)))
            except UndecodableError as error:
                raise UndecodableError(f"column {name}: {error}") from None
        return cells

    def _deep_record(self, value: bytes) -> list[Any]:
        """Arrow parses without recursion, so what is nested deeply below other keys does no harm."""
        row = self._at_once([value])
        if row is None:
            raise UndecodableError("nested too deeply")
        return [column[0].as_py() for column in row.columns]


def parse_object(value: bytes) -> dict[str, Any]:
    """Return the object that `value` spells; raises UndecodableError, RecursionError."""
    found = parse_json(value)
    if not isinstance(found, dict):
        raise UndecodableError("not a JSON object")
    return found


def parse_json(value: bytes) -> Any:
    """Return what `value` spells; raises UndecodableError, RecursionError."""
    text = text_of(value)
    try:
        # Arrow keeps the sign of -0 in a column of doubles; so do we.
        return (_SIGNED_ZERO_DECODER if "-0" in text else _DECODER).decode(text)
    except ValueError as error:
        raise UndecodableError(str(error) if isinstance(error, UndecodableError) else "not JSON") from None


def compact(value: Any) -> str:
    """Return text as it is, anything else as JSON without blanks; raises UndecodableError for half a character."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UndecodableError("not valid text") from None
    return text


def json_schema(
    values: Iterable[bytes | None],
    *,
    earlier: Mapping[str, str] | None,
) -> dict[str, str]:
    """Return the columns of a sample and their types, by their names in a configuration.

    Parameters
    ----------
    values : iterable of bytes or None
        The sample; what is no object is passed over.
    earlier : mapping of str to str, optional
        What an earlier sample showed. A column that is absent now keeps its type, and one that now looks narrower.
    """
    kinds: dict[str, set[str]] = {name: set() for name in earlier or ()}
    texts: dict[str, list[str]] = {}
    for value in values:
        try:
            record = parse_object(value or b"")
        except (UndecodableError, RecursionError):
            continue
        for name, cell in record.items():
            kind = _kind(cell)
            kinds.setdefault(name, set()).update({kind} if kind else ())
            if kind == "str":
                texts.setdefault(name, []).append(cell)
    found = {name: _type(kinds[name], texts.get(name, [])) for name in kinds}
    return {name: SPELLINGS[_wider(kind, (earlier or {}).get(name))] for name, kind in found.items()}


def decoder_of(
    found: Mapping[str, str], *, columns: Sequence[str] | None, types: Mapping[str, str], where: str
) -> JsonDecoder:
    """Return the decoder for columns that were found in a sample, or are all named with their types."""
    if columns is not None and set(columns) <= set(types):
        found = {name: types[name] for name in columns}
    if not found:
        raise EmptyDataError(f"{where} has no message that is a JSON object", expected="at least one")
    schema = pa.schema([(name, named_type(kind, column=name)) for name, kind in found.items()])
    return JsonDecoder(selected(schema, columns, where=where), {k: v for k, v in types.items() if k in schema.names})


def _kind(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return "int" if value in INTEGERS else "code"
    return {bool: "bool", float: "float", str: "str"}.get(type(value), "nested")


def _type(kinds: set[str], texts: list[str]) -> pa.DataType | None:
    """Return the type for values of these kinds; None where there were none."""
    if not kinds:
        return None
    if kinds in ({"bool"}, {"int"}):
        return pa.bool_() if kinds == {"bool"} else pa.int64()
    if kinds <= {"int", "float"}:
        return pa.float64()
    if kinds == {"str"}:
        return infer_type(pa.chunked_array([pa.array(texts, pa.large_string())]), MOMENTS)
    return pa.large_string()


def _wider(found: pa.DataType | None, earlier: str | None) -> pa.DataType:
    """Return the type of a column from now on: the earlier one, unless the new values show that it is another.

    A word among numbers does not: it is the word that does not fit.
    """
    if earlier is None:
        return found or pa.large_string()
    before = named_type(earlier, column="")
    is_narrower = pa.types.is_large_string(before) or (found == pa.int64() and before == pa.float64())
    return before if found is None or pa.types.is_large_string(found) or is_narrower else found


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _may_hold_constants(data: bytes) -> bool:
    """Return whether there may be NaN or an infinity, which Arrow reads as numbers and JSON does not know."""
    return any(name in data for name in (b"NaN", b"Inf")) and _CONSTANT.search(data) is not None


def _integer_or_minus_zero(text: str) -> int | float:
    return MINUS_ZERO if text == "-0" else int(text)


def _refuse(constant: str) -> float:
    raise UndecodableError(f"{constant} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_SIGNED_ZERO_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=_integer_or_minus_zero)


def _boolean(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise UndecodableError("not boolean")


def _integer(value: Any) -> int | None:
    if value is None or (type(value) is int and value in INTEGERS):
        return value
    if type(value) is float and value.is_integer() and abs(value) < EXACT_INTEGERS:
        return int(value)
    raise UndecodableError("not integer")


def _number(value: Any) -> float | None:
    if value is None:
        return None
    try:
        found = float(value) if type(value) in (int, float) else math.nan
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise UndecodableError("not double")
    return found


def _text(value: Any) -> str | None:
    return None if value is None else compact(value)


_CELLS: dict[pa.DataType, Callable[[Any], Any]] = {
    pa.bool_(): _boolean,
    pa.int64(): _integer,
    pa.float64(): _number,
    pa.large_string(): _text,
}
