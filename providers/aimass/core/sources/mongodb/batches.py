"""A server's batch of documents as rows and rejects: many at once where that is sure, the others one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from aimass.core.errors import SchemaMismatchError
from aimass.core.sources.casting import Fault, cast_table
from aimass.core.sources.mongodb.columns import Plan
from aimass.core.sources.mongodb.decoding import LateFieldError, decode_document, look_into, to_row, to_table
from aimass.core.sources.mongodb.lockstep import Ints, Lockstep
from aimass.core.sources.mongodb.values import MisfitError, to_json
from aimass.core.sources.rejects import RAW_BYTES, rejects


class RawDocuments:
    """Documents one after the other, as a server sends them.

    Attributes
    ----------
    data : bytes
        All of them.
    starts : numpy.ndarray
        Where each begins, shape (n,).
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        found, at, end = [], 0, len(data)
        while at < end:
            found.append(at)
            # Whoever believes a length of nothing never comes to an end.
            at += max(5, int.from_bytes(data[at : at + 4], "little"))
        self.starts: Ints = np.array(found, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> bytes:
        end = self.starts[index + 1] if index + 1 < len(self) else len(self.data)
        return self.data[self.starts[index] : end]

    def __iter__(self) -> Iterator[bytes]:
        return (self[index] for index in range(len(self)))

    def where(self, keep: Sequence[bool]) -> RawDocuments:
        """Return those for which `keep` is true."""
        if all(keep):
            return self
        return RawDocuments(b"".join(self[index] for index in np.flatnonzero(keep).tolist()))


class BatchDecoder:
    """Makes rows of raw documents.

    Parameters
    ----------
    plan : Plan
        The columns.
    schema : pyarrow.Schema
        The rows' schema: those columns, or some of them.
    """

    def __init__(self, plan: Plan, schema: pa.Schema) -> None:
        self._plan = plan
        self._root = plan.root
        self._schema = schema

    def decode(self, raw: RawDocuments) -> tuple[pa.Table, pa.Table | None]:
        """Return the rows, and what was kept aside, if anything.

        Raises
        ------
        SchemaMismatchError
            A field is not in the sample, and the plan says that this is an error.
        """
        table, numbers, faults = self._natural(raw)
        rows, misfits = cast_table(table, self._schema)
        faults += [(int(numbers[index]), reason) for index, reason in misfits]
        return rows, self._rejects(raw, sorted(faults)) if faults else None

    def _natural(self, raw: RawDocuments) -> tuple[pa.Table, Ints, list[Fault]]:
        """Return the rows that can be made, which documents they are, and why the others cannot."""
        fast = Lockstep(raw.data, raw.starts, self._plan)
        odd = np.flatnonzero(fast.is_odd)
        if not len(odd):
            return fast.table, np.arange(len(raw)), []
        slow, numbers, faults = [], [], list[Fault]()
        for index in odd.tolist():
            try:
                slow.append(to_row(decode_document(raw[index]), self._plan, self._root))
                numbers.append(index)
            except MisfitError as error:
                self._refuse(error)
                faults.append((index, str(error)))
        even = np.flatnonzero(~fast.is_odd)
        both = pa.concat_tables([fast.table.take(pa.array(even)), to_table(slow, self._plan)])
        found = np.concatenate([even, np.array(numbers, dtype=np.int64)])
        order = np.argsort(found)
        return both.take(pa.array(order)).combine_chunks(), found[order], faults

    def _refuse(self, error: MisfitError) -> None:
        if isinstance(error, LateFieldError) and self._plan.extra == "error":
            raise SchemaMismatchError(
                f"A document has the field {error.field!r}, which the sample does not have",
                known=[column.name for column in self._plan.columns],
                hint="Raise `sample_documents`, name it in `types`, or set `late_fields` to reject, collect or ignore",
                column=error.field,
            )

    def _rejects(self, raw: RawDocuments, faults: Sequence[Fault]) -> pa.Table:
        told = [_told(raw[index]) for index, _ in faults]
        return rejects([where for where, _ in told], [reason for _, reason in faults], [text for _, text in told])


def _told(data: bytes) -> tuple[str, str]:
    """Return the ``_id`` of a document, and its text."""
    try:
        document: dict[str, Any] = look_into(data)
    except MisfitError:
        return "_id unknown", data[:RAW_BYTES].decode("utf-8", "backslashreplace")
    return f"_id {to_json(document.get('_id'))}", to_json(document)[:RAW_BYTES]
