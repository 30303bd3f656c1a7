"""What is asked of a collection: extended JSON in, and nothing that writes or runs code on the server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, cast

from bson import Code, json_util

from aimass.core.errors import ConfigError, DataError
from aimass.core.sources.mongodb.batches import RawDocuments
from aimass.core.sources.mongodb.decoding import look_into
from aimass.core.sources.mongodb.keys import BY_ID, ID, Documents, Order, both
from aimass.core.sources.watermark import Key, Watermark

FORBIDDEN = {
    "$out": "it writes",
    "$merge": "it writes",
    "$where": "it runs JavaScript on the server",
    "$function": "it runs JavaScript on the server",
    "$accumulator": "it runs JavaScript on the server",
    "$changeStream": "it never ends",
}
ONE_TO_ONE = ("$match", "$project", "$addFields", "$set", "$unset", "$lookup", "$graphLookup", "$redact")
"""Stages that make of each document one or none."""
SAMPLE_BYTES = 8 << 20


def parse(value: Any, *, what: str) -> Any:
    """Return `value`, a document or its text, with extended JSON (``{"$oid": …}``, ``{"$date": …}``) read.

    Raises
    ------
    ConfigError
        It is not JSON, or asks for something that writes or runs code on the server.
    """
    try:
        text = value if isinstance(value, str) else json_util.dumps(value)
        found = json_util.loads(text)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"`{what}` is not JSON: {error}", expected="JSON or MongoDB's extended JSON") from None
    for name, inner in _names(found):
        if name in FORBIDDEN or isinstance(inner, Code):
            reason = FORBIDDEN.get(name, FORBIDDEN["$where"])
            raise ConfigError(f"`{what}` has {name}: {reason}", expected="a query that reads", key=name)
    return found


def from_text(value: Any) -> Any:
    """Return what JSON text says; anything else as it is. Forms send text."""
    if isinstance(value, str):
        try:
            return json.loads(value) if value.strip() else None
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from None
    return value


class Query:
    """What is asked, however often.

    Parameters
    ----------
    condition, projection : dict
        As `find` takes them.
    pipeline : list of dict, optional
        What documents that match go through.
    is_incremental : bool
        Whether keys say what is new; a pipeline then makes of each document one or none.
    batch_documents : int
        Documents of one answer.

    Attributes
    ----------
    filter : dict
        The condition.
    hides_id : bool
        Whether ``_id`` is asked for only because it says where reading stands.
    is_free : bool
        Whether a pipeline makes documents of its own, with an order of their own.

    Raises
    ------
    ConfigError
        The parts do not go together.
    """

    def __init__(
        self,
        condition: dict[str, Any],
        projection: dict[str, Any],
        pipeline: list[dict[str, Any]] | None,
        *,
        is_incremental: bool,
        batch_documents: int,
    ) -> None:
        if pipeline and projection:
            raise ConfigError("Both `projection` and `pipeline` are set", expected="one of them")
        if pipeline and is_incremental:
            check_one_to_one(pipeline)
        self.filter = condition
        self.hides_id = projection.get(ID, 1) in (0, False)
        self.is_free = bool(pipeline) and not is_incremental
        self._projection = {name: value for name, value in projection.items() if name != ID} or None
        self._pipeline = pipeline
        self._batch_documents = batch_documents

    def answers(
        self,
        collection: Documents,
        order: Order | None,
        condition: dict[str, Any],
        *,
        limit: int = 0,
        way: int = 1,
    ) -> Iterator[RawDocuments]:
        """Yield the documents that match, besides the filter, `condition`; a free pipeline's own match it.

        Without an order, they come as the server finds them.
        """
        sort = dict.fromkeys((field.name for field in order.fields), way) if order else {}
        if self._pipeline is None:
            found = collection.find_raw_batches(
                both(self.filter, condition),
                self._projection,
                sort=list(sort.items()) or None,
                limit=limit,
                batch_size=self._batch_documents,
            )
        else:
            stages: list[dict[str, Any]] = (
                [{"$match": self.filter}, *self._pipeline, {"$match": condition}, {"$sort": sort}]
                if self.is_free
                else [{"$match": both(self.filter, condition)}, {"$sort": sort}, *self._pipeline]
            )
            stages += [{"$limit": limit}] * bool(limit)
            found = collection.aggregate_raw_batches(stages, batchSize=self._batch_documents, allowDiskUse=True)
        # The driver's types speak of dicts; raw batches are bytes.
        batches = map(RawDocuments, cast("Iterator[bytes]", found))
        yield from (documents for documents in batches if len(documents))

    def everything(self, collection: Documents) -> Iterator[RawDocuments]:
        """Yield all documents as the server finds them; what a free pipeline makes of them, in order of ``_id``."""
        yield from _unique(self.answers(collection, BY_ID, {})) if self.is_free else self.answers(collection, None, {})

    def range(self, collection: Documents, order: Order, mark: Watermark, start: Key | None) -> Iterator[RawDocuments]:
        """Yield the documents of a watermark, those that came late left out, after the key `start`."""
        after = start or mark.after
        conditions = [order.after(after)] if after else []
        if self.is_free:
            yield from _unique(self.answers(collection, order, both(*conditions)), after)
        elif mark.to is not None and mark.has_range:
            yield from self.answers(collection, order, both(*conditions, order.up_to(mark.to)))

    def sample(self, collection: Documents, order: Order, mark: Watermark, half: int) -> Iterator[dict[str, Any]]:
        """Yield the first and the last documents of a watermark, `half` of each: they change over the years."""
        if mark.late and not mark.has_range:
            yield from map(look_into, _few(self.answers(collection, order, order.these(mark.late[:half]))))
            return
        condition = both(
            *([order.after(mark.after)] if mark.after else []), *([order.up_to(mark.to)] if mark.to else [])
        )
        first = _few(self.answers(collection, order, condition, limit=half))
        yield from map(look_into, first)
        if len(first) == half or sum(map(len, first)) >= SAMPLE_BYTES:
            yield from map(look_into, _few(self.answers(collection, order, condition, limit=half, way=-1)))


def _few(answers: Iterable[RawDocuments]) -> list[bytes]:
    """Return documents until they are more than a sample may hold."""
    found, left = list[bytes](), SAMPLE_BYTES
    for documents in answers:
        for each in documents:
            found.append(each)
            left -= len(each)
            if left <= 0:
                return found
    return found


def check_one_to_one(pipeline: Sequence[dict[str, Any]]) -> None:
    """Raise ConfigError unless each document that comes out of `pipeline` is one that went in."""
    for stage in pipeline:
        name = next(iter(stage), "")
        if name not in ONE_TO_ONE or _drops_id(name, stage[name]):
            raise ConfigError(
                f"With the stage {name} in `pipeline` nobody can tell which documents are new",
                expected="stages that make of each document one or none, and keep its _id",
                known=ONE_TO_ONE,
                hint="Leave `cursor` empty to read everything each time",
            )


def _unique(answers: Iterator[RawDocuments], before: Key | None = None) -> Iterator[RawDocuments]:
    """Yield the documents; raise DataError where two neighbours have one id: nobody could go on after the first."""
    for documents in answers:
        found = [BY_ID.key(look_into(each)) for each in documents]
        for key, following in pairwise([before, *found]):
            if key is not None and key == following:
                raise DataError(
                    f"Two documents that come out of `pipeline` have the same _id, {key[0]}",
                    expected="an _id for each document, which says where reading stands",
                    hint='After $unwind, end it with {"$set": {"_id": {"of": "$_id", "item": "$…"}}}',
                )
        before = found[-1]
        yield documents


def _drops_id(name: str, spec: Any) -> bool:
    if name == "$unset":
        return ID in ([spec] if isinstance(spec, str) else spec)
    return name == "$project" and isinstance(spec, dict) and spec.get(ID, 1) in (0, False)


def _names(document: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(document, dict):
        for name, value in document.items():
            yield name, value
            yield from _names(value)
    elif isinstance(document, list | tuple):
        for value in document:
            yield from _names(value)
