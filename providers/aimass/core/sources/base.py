"""What a source of rows is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from aimass.core import settings
from aimass.core.deps import Deps

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class SourceBatch:
    """Some rows and where the source stands after them.

    Attributes
    ----------
    rows : pyarrow.Table
        At most a few ten thousand rows, of the source's schema.
    resume : JSON-able
        Hand it to `Source.read` to go on after these rows.
    rejects : pyarrow.Table, optional
        Rows that do not fit the schema: columns ``where`` (file and line, offset, key), ``reason``, ``raw``.
    """

    rows: pa.Table
    resume: Any
    rejects: pa.Table | None = None


class Source(Protocol):
    """Rows that can be read in the same order again and again.

    Constructed as ``Source(settings, deps)``; opens nothing before a method is called.
    """

    Settings: ClassVar[type[settings.Settings]]

    def __init__(self, settings: Any, deps: Deps) -> None: ...

    def position(self) -> Any:
        """Return what is there now, JSON-able: files with size and etag, offsets, watermark.

        Raises NotFoundError where there is nothing, UnreachableError where nobody answers.
        """

    def schema(self, position: Any) -> pa.Schema:
        """Return the columns and types of the rows up to `position`; raises CorruptDataError, EmptyDataError."""

    def read(self, position: Any, resume: Any = None) -> Iterator[SourceBatch]:
        """Yield the rows up to `position`, after `resume` where given; memory stays bounded."""
