"""The order in which a collection is read, and which part of it a position means."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import Binary, ObjectId, json_util
from bson.datetime_ms import DatetimeMS
from pymongo.collection import Collection

from aimass.core.errors import ConfigError, DataError
from aimass.core.sources.mongodb.values import described, kind_of
from aimass.core.sources.watermark import Key, Watermark

Documents = Collection[dict[str, Any]]
ID = "_id"
DEFAULT_LOOKBACK_S = 60.0
ANY = "any"
"""The kind of keys that cannot be compared here: of mixed types, or of one that JSON does not sort."""
KEYS_PER_PIECE, MAX_KEYS = 50, 10_000
"""How many keys are drawn at random to cut a collection into pieces: each is then a seventh too long or too short."""

_KINDS = {
    "objectid": "objectid",
    "integer": "number",
    "double": "number",
    "date": "date",
    "text": "text",
    "uuid": "uuid",
}


@dataclass(frozen=True)
class KeyField:
    """One field of the key.

    Attributes
    ----------
    name : str
        Dotted name.
    kind : str
        ``objectid``, ``number``, ``date``, ``text``, ``uuid``, or `ANY`.
    """

    name: str
    kind: str

    def of(self, document: dict[str, Any]) -> Any:
        """Return the field of `document` as JSON; raises DataError where it is of another kind."""
        value = field_of(document, self.name)
        if self.kind != ANY and key_kind(value) != self.kind:
            raise DataError(
                f"{self.name} is {described(value)} in one document and of the kind {self.kind} in others",
                expected="one kind of values in the field that says what is new",
                hint="Set `filter` so that only one kind is read",
            )
        return to_json(value) if self.kind == ANY else _encoded(self.kind, value)

    def value(self, part: Any) -> Any:
        """Return what the server compares with."""
        match self.kind:
            case "objectid":
                return ObjectId(part)
            case "date":
                return DatetimeMS(part)
            case "uuid":
                return Binary(bytes.fromhex(part), 4)
            case "any":
                return json_util.loads(part)
        return part


def field_of(document: dict[str, Any], name: str) -> Any:
    """Return the value of the field with the dotted `name`; None where there is none."""
    value: Any = document
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def key_kind(value: Any) -> str:
    """Return the kind of key that `value` is."""
    return _KINDS.get(kind_of(value), ANY)


def to_json(value: Any) -> str:
    """Return a key of any kind as text."""
    return json_util.dumps(value, json_options=json_util.CANONICAL_JSON_OPTIONS)


def _encoded(kind: str, value: Any) -> Any:
    match kind:
        case "objectid":
            return str(value)
        case "date":
            return int(value)
        case "uuid":
            return bytes(value).hex()
    return value


@dataclass(frozen=True)
class Order:
    """The fields of the key, the cursor first; ``_id`` last, which makes it unique."""

    fields: tuple[KeyField, ...]

    @property
    def sort(self) -> list[tuple[str, int]]:
        """The order for the server."""
        return [(field.name, 1) for field in self.fields]

    @property
    def projection(self) -> dict[str, int]:
        """The key's fields alone."""
        return {field.name: 1 for field in self.fields}

    def key(self, document: dict[str, Any]) -> Key:
        """Return the key of `document`."""
        return [field.of(document) for field in self.fields]

    def document(self) -> list[list[str]]:
        """Return the fields and kinds for a position."""
        return [[field.name, field.kind] for field in self.fields]

    @classmethod
    def from_document(cls, document: Sequence[Sequence[str]]) -> Order:
        """Return the order that `document` describes."""
        return cls(tuple(KeyField(name, kind) for name, kind in document))

    def check_comparable(self, earlier: Order | None) -> None:
        """Raise ConfigError where the keys' kinds cannot say what is new, or are others than in an earlier position."""
        names = " and ".join(field.name for field in self.fields)
        if any(field.kind == ANY for field in self.fields):
            raise ConfigError(
                f"The values of {names} cannot say what is new: some are of another type than others, or of one that "
                "has no order here",
                expected="only ObjectIds, numbers, dates, strings or UUIDs",
                hint="Set another `cursor`, or a `filter` that leaves one type",
            )
        if earlier is not None and earlier.fields and earlier != self:
            raise ConfigError(
                f"The kinds of {names} were {_kinds_of(earlier)} and are {_kinds_of(self)} now",
                expected="the same ones",
                hint="Start a new chain: give the table another name",
            )

    def these(self, found: Sequence[Key]) -> dict[str, Any]:
        """Return the filter for the documents with some keys; others with their ``_id`` pass it too."""
        return {ID: {"$in": [self.fields[-1].value(key[-1]) for key in found]}}

    def after(self, key: Key) -> dict[str, Any]:
        """Return the filter for greater keys; of a prefix, for those whose first fields are greater."""
        return self._beyond(key, "$gt", "$gt")

    def up_to(self, key: Key) -> dict[str, Any]:
        """Return the filter for `key` and smaller ones."""
        return self._beyond(key, "$lt", "$lte")

    def _beyond(self, key: Key, outer: str, last: str) -> dict[str, Any]:
        choices: list[dict[str, Any]] = []
        equal: dict[str, Any] = {}
        for index, (field, part) in enumerate(zip(self.fields, key, strict=False)):
            value = field.value(part)
            operator = last if index == len(key) - 1 else outer
            choices.append({**equal, **_compared(field, operator, value)})
            equal[field.name] = value
        return choices[0] if len(choices) == 1 else {"$or": choices}


BY_ID = Order((KeyField(ID, ANY),))
"""The order of ids of any type."""


def _kinds_of(order: Order) -> str:
    return " and ".join(field.kind for field in order.fields)


def _compared(field: KeyField, operator: str, value: Any) -> dict[str, Any]:
    # Outside $expr a comparison sees values of the same type only.
    if field.kind == ANY:
        return {"$expr": {operator: [f"${field.name}", {"$literal": value}]}}
    return {field.name: {operator: value}}


def both(*conditions: dict[str, Any]) -> dict[str, Any]:
    """Return the filter that all of `conditions` hold."""
    told = [condition for condition in conditions if condition]
    return {"$and": told} if len(told) > 1 else (told[0] if told else {})


class CollectionKeys:
    """The keys of a collection, as `watermark` wants them.

    Parameters
    ----------
    collection : Documents
        The open collection.
    order : Order
        Of which keys.
    condition : dict
        The filter of the source.
    greatest : list
        The greatest of the keys, as `ends` has found it.
    lookback : float, optional
        Seconds, or units of a number, in which rows may come late; by the cursor's kind when None.
    now_ms : int
        The server's clock. What is dated later waits until its time has come: a clock that is ahead would otherwise
        move the watermark past what others are about to write.
    """

    def __init__(
        self,
        collection: Documents,
        order: Order,
        condition: dict[str, Any],
        *,
        greatest: Key,
        lookback: float | None,
        now_ms: int,
    ) -> None:
        self._collection = collection
        self._order = order
        self._condition = condition
        self._cursor = order.fields[0]
        self._greatest = greatest
        self._lookback = self._default_lookback() if lookback is None else lookback
        self._now_ms = now_ms

    def newest(self, after: Key | None) -> Key | None:
        """Return the greatest key greater than `after`."""
        found: Key | None = self._greatest
        limit = self._first_future()
        if limit is not None and self._greatest[0] >= limit:
            found = self._last({self._cursor.name: {"$lt": self._cursor.value(limit)}})
        return found if found is not None and (after is None or found > after) else None

    def between(self, after: Key, to: Key) -> Iterator[Key]:
        """Yield the keys greater than `after`, up to `to`."""
        condition = both(self._condition, self._order.after(after), self._order.up_to(to))
        for document in self._collection.find(condition, self._order.projection, sort=self._order.sort):
            yield self._order.key(document)

    def floor(self, to: Key) -> Any:
        """Return the cursor's value up to which nothing comes late."""
        if not self._lookback:
            return None
        match self._cursor.kind:
            case "objectid":
                return f"{max(0, int(to[0][:8], 16) - round(self._lookback)):08x}{'0' * 16}"
            case "date":
                return to[0] - round(self._lookback * 1_000)
            case "number":
                return to[0] - self._lookback
        raise ConfigError(
            f"The cursor {self._cursor.name} is {self._cursor.kind}: no lookback can be counted in it",
            expected="`lookback` 0, or a cursor that is an ObjectId, a date or a number",
        )

    def _last(self, condition: dict[str, Any]) -> Key | None:
        order = [(name, -1) for name, _ in self._order.sort]
        found = self._collection.find_one(both(self._condition, condition), self._order.projection, sort=order)
        return None if found is None else self._order.key(found)

    def _first_future(self) -> Any:
        """Return the least cursor value that lies in the future; None for a cursor that is no time."""
        match self._cursor.kind:
            case "objectid":
                return f"{self._now_ms // 1_000 + 1:08x}{'0' * 16}"
            case "date":
                return self._now_ms + 1
        return None

    def _default_lookback(self) -> float:
        if self._cursor.kind in ("objectid", "date"):
            return DEFAULT_LOOKBACK_S
        # Numbers that are no identity have ties, and any of those may come later.
        return 1.0 if self._cursor.kind == "number" and self._cursor.name != ID else 0.0


def ends(
    collection: Documents, condition: dict[str, Any], names: Sequence[str]
) -> Mapping[str, Sequence[dict[str, Any]]]:
    """Return for each field, the first of an order, the documents with its least and its greatest value, if any.

    Of documents whose values of the first field are equal, the last one by the others is the greatest.
    """
    found = {}
    for index, name in enumerate(names):
        is_there = both(condition, {} if name == ID else {name: {"$ne": None}})
        orders = [[(name, 1)], [(each, -1) for each in names[index:]]]
        wanted = [collection.find_one(is_there, dict.fromkeys(names, 1), sort=order) for order in orders]
        found[name] = [document for document in wanted if document is not None]
    return found


def cuts(collection: Documents, order: Order, condition: dict[str, Any], mark: Watermark, count: int) -> Sequence[Key]:
    """Return keys that cut a watermark's range into at most `count` pieces of about the same number of documents."""
    draw = {"$sample": {"size": min(KEYS_PER_PIECE * count, MAX_KEYS)}}
    inside = both(*([order.after(mark.after)] if mark.after else []), *([order.up_to(mark.to)] if mark.to else []))
    # A server draws from a whole collection without looking at each document, but not from what matches something.
    stages = [{"$match": both(condition, inside)}, draw] if condition or mark.after else [draw, {"$match": inside}]
    stages += [{"$sort": dict(order.sort)}, {"$project": order.projection}]
    drawn = [order.key(document) for document in collection.aggregate(stages, allowDiskUse=True)]
    found = (drawn[len(drawn) * number // count] for number in range(1, count) if drawn)
    # What is drawn twice cuts once.
    return [key for key, _ in itertools.groupby(found)]
