"""Which columns documents have: fields by their dotted names, with a kind that most of a sample's values are of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal
from typing import Any, Literal

import pyarrow as pa

from aimass.core.errors import EmptyDataError, SchemaMismatchError
from aimass.core.sources.casting import named_type
from aimass.core.sources.mongodb import values
from aimass.core.sources.mongodb.values import DECIMAL_DIGITS, MisfitError

EXTRA = "_extra"
_WIDE = Context(prec=2 * DECIMAL_DIGITS)
Arrays = Literal["json", "list"]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    path : tuple of str
        The field's names, outermost first.
    kind : str
        A kind of `values.convert`, or ``list``.
    item : str
        Kind of a list's items; else empty.
    digits : tuple of int
        Precision and scale of a decimal.
    wanted : pyarrow.DataType, optional
        The type that the configuration asks for, where it is another than the kind's own.
    """

    path: tuple[str, ...]
    kind: str
    item: str = ""
    digits: tuple[int, int] = (DECIMAL_DIGITS, 0)
    wanted: pa.DataType | None = None

    @property
    def name(self) -> str:
        """The dotted name."""
        return ".".join(self.path)

    @property
    def natural(self) -> pa.DataType:
        """The type of what `convert` returns."""
        if self.kind == "decimal":
            return pa.decimal128(*self.digits)
        return pa.list_(values.TYPES[self.item]) if self.kind == "list" else values.TYPES[self.kind]

    @property
    def type(self) -> pa.DataType:
        """The column's type."""
        return self.wanted or self.natural

    def convert(self, value: Any) -> Any:
        """Return what stands for `value`; raises MisfitError."""
        if value is None:
            return None
        if self.kind == "decimal":
            return _scaled(values.convert("decimal", value), *self.digits)
        if self.kind != "list":
            return values.convert(self.kind, value)
        if not isinstance(value, list):
            raise MisfitError(f"{values.described(value)} is not an array")
        return [values.convert(self.item, each) for each in value]

    def document(self) -> dict[str, Any]:
        """Return the column for a position, without what the configuration says anyway."""
        found: dict[str, Any] = {"path": list(self.path), "kind": self.kind}
        return (
            found
            | ({"item": self.item} if self.item else {})
            | ({"digits": list(self.digits)} if self.kind == "decimal" else {})
        )

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Column:
        """Return the column that `document` describes."""
        digits = document.get("digits", (DECIMAL_DIGITS, 0))
        return cls(tuple(document["path"]), document["kind"], document.get("item", ""), tuple(digits))


@dataclass
class Node:
    """The fields below a document; a leaf is a column.

    Attributes
    ----------
    children : dict of str to Node
        By name, in the order in which the sample has them.
    column : int
        Index of the leaf's column; -1 for a document.
    """

    children: dict[str, Node] = field(default_factory=dict)
    column: int = -1


@dataclass(frozen=True)
class Plan:
    """What a document becomes.

    Attributes
    ----------
    columns : tuple of Column
        In the order of the table.
    extra : str
        What happens to fields that no column stands for: ``error``, ``reject``, ``collect`` or ``ignore``.
    """

    columns: tuple[Column, ...]
    extra: str

    @property
    def root(self) -> Node:
        """The columns as a tree."""
        root = Node()
        for index, column in enumerate(self.columns):
            node = root
            for name in column.path:
                node = node.children.setdefault(name, Node())
            node.column = index
        return root

    @property
    def schema(self) -> pa.Schema:
        """The columns' final types."""
        found = [pa.field(column.name, column.type) for column in self.columns]
        return pa.schema(found + [pa.field(EXTRA, pa.large_string())] * (self.extra == "collect"))

    @property
    def natural(self) -> pa.Schema:
        """The columns' types before `types` of the configuration are applied."""
        found = [pa.field(column.name, column.natural) for column in self.columns]
        return pa.schema(found + [pa.field(EXTRA, pa.large_string())] * (self.extra == "collect"))


def _scaled(value: Decimal, precision: int, scale: int) -> Decimal:
    """Return a decimal that fits so many digits; raises MisfitError."""
    exponent = value.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > scale:
        raise MisfitError(f"a decimal with more than {scale} digits after the point")
    if value and value.adjusted() >= precision - scale:
        raise MisfitError(f"a decimal with more than {precision - scale} digits before the point")
    # Arrow takes zeros at the end, and those of zero itself, by their word.
    return value.quantize(Decimal(1).scaleb(-scale), context=_WIDE)


@dataclass
class _Seen:
    """What a sample shows of one field."""

    kinds: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    children: dict[str, _Seen] = field(default_factory=dict)
    scale: int = 0

    def add(self, value: Any) -> None:
        kind = values.kind_of(value)
        self.kinds[kind] += 1
        if kind == "document":
            for name, inner in value.items():
                seen = self.children.get(name)
                if seen is None:
                    seen = self.children[name] = _Seen()
                seen.add(inner)
        elif kind == "array":
            for item in value:
                self.items[values.kind_of(item)] += 1
        elif kind == "decimal":
            exponent = value.to_decimal().as_tuple().exponent
            self.scale = max(self.scale, -exponent if isinstance(exponent, int) else 0)

    def columns(self, path: tuple[str, ...], max_depth: int, arrays: Arrays) -> Iterable[Column]:
        kind = _most(self.kinds)
        if kind == "document" and len(path) < max_depth:
            for name, inner in self.children.items():
                yield from inner.columns((*path, name), max_depth, arrays)
        elif kind == "array" and arrays == "list" and _is_plain(self.items):
            item = _most(self.items)
            yield Column(path, "list", item=item)
        elif kind == "decimal" and self.scale < DECIMAL_DIGITS:
            yield Column(path, kind, digits=(DECIMAL_DIGITS, self.scale))
        else:
            yield Column(path, {"document": "json", "array": "json", "decimal": "any"}.get(kind, kind))


def _most(kinds: Counter[str]) -> str:
    """Return the kind of most values; an integer among doubles or decimals is one of those."""
    found = Counter({kind: count for kind, count in kinds.items() if kind != "null"})
    for wider in ("decimal", "double"):
        if found["integer"] and found[wider]:
            found[wider] += found.pop("integer")
    return found.most_common(1)[0][0] if found else "any"


def _is_plain(items: Counter[str]) -> bool:
    kinds = set(items) - {"null"}
    return kinds == {"integer", "double"} or (len(kinds) == 1 and kinds <= values.TYPES.keys())


def infer(documents: Iterable[dict[str, Any]], *, max_depth: int, arrays: Arrays, where: str) -> list[Column]:
    """Return the columns of `documents`, a sample of `where`.

    Raises
    ------
    EmptyDataError
        There is no document.
    SchemaMismatchError
        Two fields have the same dotted name.
    """
    root = _Seen()
    for document in documents:
        root.add(document)
    if not root.kinds:
        raise EmptyDataError(f"{where} has no documents", expected="at least one")
    found = [column for name, seen in root.children.items() for column in seen.columns((name,), max_depth, arrays)]
    names = Counter(column.name for column in found)
    repeated = next((name for name, count in names.items() if count > 1), None)
    if repeated is not None:
        raise SchemaMismatchError(
            f"Two fields of {where} have the name {repeated!r} once nested names are joined by dots",
            expected="names that differ",
            hint="Leave one out with `projection`, or rename it with a `pipeline`",
            column=repeated,
        )
    return found


def merge(known: Sequence[Column], found: Iterable[Column]) -> list[Column]:
    """Return the columns of an earlier sample, widened where a later one has to be, and the later one's new ones."""
    merged = {column.path: column for column in known}
    for column in found:
        before = merged.get(column.path)
        if before is not None:
            merged[column.path] = _widened(before, column)
        elif not any(_is_inside(path, column.path) or _is_inside(column.path, path) for path in merged):
            merged[column.path] = column
    return list(merged.values())


def _widened(before: Column, now: Column) -> Column:
    kinds = {before.kind, now.kind}
    if before.kind == "any" or kinds in ({"integer", "double"}, {"integer", "decimal"}):
        return now if now.kind != "integer" else before
    if kinds == {"decimal"}:
        return max(before, now, key=lambda column: column.digits[1])
    return before


def _is_inside(path: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    return path[: len(outer)] == outer


def with_types(columns: Sequence[Column], types: Mapping[str, str]) -> list[Column]:
    """Return the columns with the types that the configuration sets by name; a name no column has is a new one."""
    names = {column.name for column in columns}
    found = [_typed(column, types[column.name]) if column.name in types else column for column in columns]
    return found + [
        _typed(Column(tuple(name.split(".")), ""), kind) for name, kind in types.items() if name not in names
    ]


_DECIMAL = re.compile(r"decimal\((\d+), *(\d+)\)")


def _typed(column: Column, name: str) -> Column:
    """Return `column` with the type that the configuration calls `name`."""
    if name in ("json", "binary"):
        return Column(column.path, name)
    digits = _DECIMAL.fullmatch(name)
    if digits:
        return Column(column.path, "decimal", digits=(int(digits[1]), int(digits[2])))
    wanted = named_type(name, column=column.name)
    if wanted == pa.large_string():
        return Column(column.path, column.kind if column.kind in ("text", "objectid", "uuid") else "any")
    if column.kind in ("", "any", "json", "list"):
        kind = next((kind for kind, natural in values.TYPES.items() if _is_alike(natural, wanted)), "any")
        return Column(column.path, kind, wanted=wanted)
    return replace(column, wanted=wanted)


def _is_alike(natural: pa.DataType, wanted: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_temporal)
    return any(is_kind(natural) and is_kind(wanted) for is_kind in tests)
