"""What earlier incremental reads brought: their columns, by rules, and their rows, by reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

from aimass.core.datasets import Dataset, DatasetWriter, schema_of
from aimass.core.deps import Deps
from aimass.core.errors import SchemaMismatchError
from aimass.core.manifest import Part
from aimass.core.schemas import Merged, conform, merge_schemas
from aimass.core.sources import SOURCES
from aimass.core.sources.casting import SPELLINGS
from aimass.core.stages.base import Output
from aimass.core.stages.ingest_config import IngestConfig
from aimass.core.storage import Store

if TYPE_CHECKING:
    import pyarrow as pa

MANY_PARTS = 32
SMALL_ROWS = 125_000
SMALL_BYTES = 16 << 20
LARGEST_EXACT = 2**53


@dataclass(frozen=True)
class Earlier:
    """The earlier reads, as a later one needs them.

    Attributes
    ----------
    schema : pyarrow.Schema
        The columns of all reads, the later one's included.
    rows : int
        Earlier rows that the output holds, by reference or written again.
    small : list of Dataset
        Parts so small and so many that their rows are written again as one part, before the new rows.
    """

    schema: pa.Schema
    rows: int = 0
    small: list[Dataset] = field(default_factory=list)

    def write_small(self, writer: DatasetWriter) -> None:
        """Write the rows of the small parts again, in their order."""
        for dataset in self.small:
            for rows in dataset.slices():
                writer.write(conform(rows.collect().to_arrow(), self.schema))


def take_over(config: IngestConfig, deps: Deps, output: Output, schema: pa.Schema, *, rewrites: bool = True) -> Earlier:
    """Let `output` refer to the earlier rows, where they are wanted, and return what else is needed of them.

    Without `rewrites`, it refers to small parts, too, however many.

    Raises
    ------
    SchemaMismatchError
        The columns have changed, and the rules do not accept that.
    """
    if output.target.previous is None:
        return Earlier(schema)
    folder, before = output.target.previous
    earlier = schema_of(folder, before, deps.store)
    merged = merge_schemas(earlier, schema, inferred=infers_types(config))
    _check_rules(config, merged, folder)
    if config.keep == "new":
        return Earlier(merged.schema)
    parts = [part for part in before.parts if part.rows]
    check_doubles(deps.store, folder, parts, earlier, merged.schema)
    small = list(_small(parts))[::-1] if rewrites else []
    kept = parts[: len(parts) - len(small)]
    output.adopt_parts([part.seen_from(output.uri, owner=folder, is_older=merged.is_wider) for part in kept])
    pieces = [
        Dataset(folder, before.model_copy(update={"parts": [part.model_copy(update={"is_older": False})]}), deps)
        for part in small
    ]
    return Earlier(merged.schema, sum(part.rows for part in parts), pieces)


def check_doubles(store: Store, folder: str, parts: Sequence[Part], own: pa.Schema, wanted: pa.Schema) -> None:
    """Raise SchemaMismatchError where whole numbers of `parts` are wanted as doubles, and one does not hold them.

    The parts' own statistics tell: no row is read.
    """
    import pyarrow as pa

    names = {name for name in own.names if own.field(name).type == pa.int64()}
    names &= {name for name in wanted.names if wanted.field(name).type == pa.float64()}
    for part in parts if names else ():
        for name, limits in _limits(store, part.uri(folder), names):
            if max(map(abs, limits)) > LARGEST_EXACT:
                raise SchemaMismatchError(
                    f"The column {name!r} has become double, and earlier rows have whole numbers up to {limits[1]}",
                    expected=f"at most ±{LARGEST_EXACT}, which a double holds exactly",
                    hint="Read it anew under another `name`, with the type string for this column",
                    column=name,
                )


def _limits(store: Store, uri: str, names: set[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the smallest and the largest value of each row group of those of the columns that hold whole numbers."""
    import pyarrow.parquet as pq

    with store.open(uri) as file:
        about = pq.read_metadata(file)
    for group in range(about.num_row_groups):
        for index in range(about.num_columns):
            column = about.row_group(group).column(index)
            known = column.statistics
            if column.path_in_schema in names and column.physical_type == "INT64" and known and known.has_min_max:
                yield column.path_in_schema, (known.min, known.max)


def told_types(config: IngestConfig, before: pa.Schema, now: pa.Schema) -> dict[str, str]:
    """Return the earlier types of columns that now look like something else, by their names in a configuration.

    Of inferred types alone. Among the rows of one read there may be nothing but digits where there was text; and one
    word among numbers makes their column text, while it is that word which does not fit.
    """
    if not infers_types(config):
        return {}
    import pyarrow as pa

    chosen = config.source.get("types") or {}
    found = {}
    for name, guessed in zip(now.names, now.types, strict=True):
        earlier = before.field(name).type if name in before.names else guessed
        is_text = pa.types.is_large_string(earlier) or pa.types.is_large_string(guessed)
        if earlier != guessed and is_text and earlier in SPELLINGS and name not in chosen:
            found[name] = SPELLINGS[earlier]
    return found


def with_types(config: IngestConfig, types: dict[str, str]) -> IngestConfig:
    """Return `config` with these types of single columns, besides those it names itself."""
    chosen = config.source.get("types") or {}
    return config.model_copy(update={"source": {**config.source, "types": {**types, **chosen}}}) if types else config


def types_before(config: IngestConfig, before: pa.Schema, now: pa.Schema) -> pa.Schema:
    """Return `now` with the earlier type of columns whose inferred one says little; each value is checked when cast.

    So it is with whole numbers where there were doubles, and with text, which a column without any value is taken for.
    """
    import pyarrow as pa

    def settled(field: pa.Field) -> pa.Field:
        is_chosen = field.name in (config.source.get("types") or {})
        if not infers_types(config) or field.name not in before.names or is_chosen:
            return field
        earlier = before.field(field.name).type
        was_double = earlier == pa.float64() and pa.types.is_integer(field.type)
        return pa.field(field.name, earlier) if was_double or pa.types.is_large_string(field.type) else field

    return pa.schema([settled(field) for field in now])


def infers_types(config: IngestConfig) -> bool:
    """Return whether the source guesses types from values, where they are not set."""
    return "types" in SOURCES.load(config.source["type"]).Settings.model_fields


def _small(parts: Sequence[Part]) -> Iterator[Part]:
    """Yield the small parts at the end, last one first, if they are many.

    Reads every minute would otherwise leave half a million parts a year, each named by every later manifest.
    """
    found = list(takewhile(lambda part: part.rows < SMALL_ROWS and part.bytes < SMALL_BYTES, reversed(parts)))
    if len(found) >= MANY_PARTS:
        yield from found


def _check_rules(config: IngestConfig, merged: Merged, before: str) -> None:
    """Raise SchemaMismatchError unless the rules accept all changes."""
    changes = {
        "on_added_column": ("added", merged.added),
        "on_lost_column": ("lost", merged.lost),
        "on_widened_type": ("widened", merged.widened),
    }
    wrong = {rule: change for rule, change in changes.items() if change[1] and getattr(config, rule) == "error"}
    if wrong:
        seen = "; ".join(f"{what} {', '.join(names)}" for what, names in wrong.values())
        rules = " and ".join(f"`{rule}: accept`" for rule in wrong)
        raise SchemaMismatchError(
            f"The columns of the source {config.name!r} have changed: {seen}",
            expected=f"the columns of the last read, {before}",
            hint=f"Set {rules} to go on (rows without a value get null), or read it anew under another `name`",
            changes={what: list(names) for what, names in wrong.values()},
        )
