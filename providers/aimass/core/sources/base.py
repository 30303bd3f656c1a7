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
        Hand it to `Source.read` to go on after these rows; None where a read can only begin anew.
    rejects : pyarrow.Table, optional
        Rows that do not fit the schema: columns ``where`` (file and line, offset, key), ``reason``, ``raw``.
    """

    rows: pa.Table
    resume: Any
    rejects: pa.Table | None = None


class Source(Protocol):
    """Rows that can be read in the same order again and again.

    Constructed as ``Source(settings, deps)``; opens nothing before a method is called.

    A position describes which rows `read` yields: all that are there now, or those that came after an earlier one. It
    holds whatever a later call needs to find what is new since, so a chain of positions cuts the source's rows into
    pieces that neither overlap nor leave a gap.

    Optional, where a source has it: ``consistent: ClassVar[bool]``, whether `read` can give the rows of one moment;
    ``Settings.not_consistent: str | None``, what to set so that it does, None where it does as it is set;
    ``estimate(position) -> int | None``, about how many rows that are; ``partitions(position, count) -> list`` of at
    most `count` positions that cut `position` into pieces, which may be read at the same time by other processes.

    `read` may run in another thread than the other methods. Settings that do not change which rows there are, such as
    sizes of batches and rules about what is an error, are marked ``OUTSIDE_KEY``: all others begin a chain of
    incremental reads anew when they change, except for ``types``, the types of single columns. A source that has such
    a setting infers the others.
    """

    Settings: ClassVar[type[settings.Settings]]

    def __init__(self, settings: Any, deps: Deps) -> None: ...

    def position(self, since: Any = None) -> Any:
        """Return what is there now, JSON-able: files with size and etag, offsets, watermark.

        With `since`, an earlier position of the same source: what is new after it; None when nothing is.

        Raises NotFoundError where there is nothing, UnreachableError where nobody answers, ConfigError where the
        source, as it is set, cannot tell what is new.
        """

    def schema(self, position: Any) -> pa.Schema:
        """Return the columns and types of the rows of `position`; raises CorruptDataError, EmptyDataError."""

    def read(self, position: Any, resume: Any = None) -> Iterator[SourceBatch]:
        """Yield the rows of `position`, after `resume` where given; memory stays bounded.

        The same position gives the same rows in the same order, also in another process after a crash. Closing the
        iterator lets go of everything.
        """
