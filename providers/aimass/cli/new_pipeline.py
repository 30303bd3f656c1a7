"""`airflow aimass pipeline new`: from a table and a target to a commented pipeline file."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aimass.cli.console import Exit, command, complain, say
from aimass.cli.files import folder_of
from aimass.core.errors import ConfigError, NotAllowedError, from_os_error, missing_column
from aimass.hooks.runtime import build_runtime
from aimass.pipelines.check import check_pipeline
from aimass.pipelines.load import load_pipeline
from aimass.pipelines.model import NAME_PATTERN

_WORD = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_ID = re.compile(r"(^|_)(id|uuid|key|nr|no|number)$", re.IGNORECASE)


class Table(NamedTuple):
    """What was seen of the source.

    Attributes
    ----------
    types : dict of str to str
        Arrow type by column.
    examples : dict of str to list
        A few values by column.
    distinct : dict of str to int
        Number of different values among the first rows.
    rows : int
        How many rows were looked at.
    """

    types: dict[str, str]
    examples: dict[str, list[Any]]
    distinct: dict[str, int]
    rows: int


@command
def new(args: Namespace) -> Exit:
    """Look at the source, write the file, and check it."""
    name = args.name or _name_from(args.source)
    if not re.match(NAME_PATTERN, name):
        raise ConfigError(
            f"A pipeline cannot be called {name!r}", expected="letters, digits and _, beginning with a letter"
        )
    uri = args.source if "://" in args.source else str(Path(args.source).expanduser().absolute())
    table = look_at(uri)
    text = pipeline_text(name, uri, table, args.target)
    if args.output == "-":
        say(text)
        return Exit.OK
    path = Path(args.output) if args.output else folder_of("pipelines", args.pipelines) / f"{name}.yaml"
    if path.exists() and not args.force:
        raise NotAllowedError(f"{path} is there already", hint="--force overwrites it, --output names another")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise from_os_error(error, doing=f"writing {path}") from error
    say(f"wrote {path}: {len(table.types)} columns")
    check_pipeline(load_pipeline(path), path)
    say(f"Next: read it, then airflow aimass pipeline run {name}")
    return Exit.OK


def look_at(uri: str) -> Table:
    """Return the columns of the table at `uri`, and what its first rows look like."""
    from aimass.core.backends import backend_of
    from aimass.core.deps import Deps
    from aimass.core.sources import SOURCES

    runtime = build_runtime(store_conn_id="aimass_store", tracking_conn_id="aimass_mlflow")
    backend, settings = backend_of(SOURCES, {"type": "files", "uri": uri})
    source = backend(settings, Deps.from_runtime(runtime))
    position = source.position()
    schema = source.schema(position)
    rows = next(iter(source.read(position))).rows
    values = {column: rows.column(column).drop_null().unique() for column in schema.names}
    return Table(
        types={field.name: str(field.type) for field in schema},
        examples={column: found[:3].to_pylist() for column, found in values.items()},
        distinct={column: len(found) for column, found in values.items()},
        rows=rows.num_rows,
    )


def pipeline_text(name: str, uri: str, table: Table, target: str) -> str:
    """Return the commented YAML."""
    times = [column for column, kind in table.types.items() if kind.startswith(("timestamp", "date"))]
    target_line, target_column = _target(table, target)
    ids = [column for column in table.types if column != target_column and _is_id(column, table)]
    used = {target_column, *ids, *times[:1]}
    features = [column for column in table.types if column not in used]
    constant = [column for column in features if table.distinct[column] < 2]
    parts = [
        "# Written by `airflow aimass pipeline new`. Every key is described in docs/pipeline.md;",
        f"# `airflow aimass pipeline validate {name}` checks this file.",
        f"name: {name}",
        f"description: Predicts {target_column or 'the target'} from {Path(uri).name}.",
        "# schedule: '@daily'        # when to run; only by hand while this is left out",
        "",
        "sources:",
        f"  {name}:",
        "    type: files",
        f"    uri: {_yaml(uri)}",
        "",
        "# What may be predicted from. Take out what is not known yet at the moment of the prediction: `explore` calls",
        "# columns that know the outcome too well leakage suspects.",
        "columns:",
        *(_column_line(column, table, is_constant=column in constant) for column in features),
        "",
        "# They say which row it is; they are never features.",
        f"id: {_yaml(ids)}",
        *_time_lines(times),
        "",
        "# A row without an outcome is left out; `error` fails instead.",
        target_line,
        "",
        *_split_lines(times),
        "",
        "# clean, features:          # chosen from the columns' types while they are left out",
        "",
        "train:",
        "  seed: 42",
        "  models:",
        "    - {type: logistic_regression}",
        "    - {type: random_forest}",
        "    - {type: lightgbm}",
        "",
        "# Leave this out to release the best of the models above as they are.",
        "optimize: {rounds: 2, trials: 24, workers: 2, seed: 42}",
        "",
        "# Leave this out to train without releasing.",
        f"release: {{name: {name}, alias: champion}}",
    ]
    return "\n".join(parts) + "\n"


def _target(table: Table, target: str) -> tuple[str, str | None]:
    """Return the line of the target, and the column that it is."""
    if not _WORD.match(target) and target not in table.types:
        return f"target: {{name: target, expr: {_yaml(target)}, null: drop}}", None
    if target not in table.types:
        raise missing_column(target, table.types, where="the source")
    if table.distinct[target] > 2:
        complain(
            f"{target} has {table.distinct[target]} values among the first {table.rows:,} rows, and a target has two: "
            "write an expression into the file, such as expr: " + _yaml(f"{target} > {table.examples[target][0]!r}")
        )
    return f"target: {{name: {_yaml(target)}, null: drop}}", target


def _is_id(column: str, table: Table) -> bool:
    """Guess whether a column names rows: by its name, or since no value comes twice in a text."""
    is_unique = table.rows > 20 and table.distinct[column] == table.rows
    return is_unique and (bool(_ID.search(column)) or table.types[column] == "string")


def _column_line(column: str, table: Table, *, is_constant: bool) -> str:
    examples = ", ".join(" ".join(str(value).split())[:20] for value in table.examples[column])
    note = "only one value seen" if is_constant else f"{table.types[column]}: {examples}"
    mark = "# " if is_constant else ""
    return f"  {mark}- {_yaml(column):<24} # {note}"


def _time_lines(times: Sequence[str]) -> list[str]:
    if not times:
        return ["# time: <column>           # when a row happened, if a column says so"]
    others = f"        # or: {', '.join(times[1:])}" if times[1:] else ""
    return [f"time: {_yaml(times[0])}{others}"]


def _split_lines(times: Sequence[str]) -> list[str]:
    if times:
        return [
            "# The past trains, the future judges.",
            f"split: {{type: time, column: {_yaml(times[0])}, validation: 0.15, test: 0.15}}",
        ]
    return [
        "# Rows that belong together (of one customer, of one machine) must not be parted: {type: group, column: …}.",
        "split: {type: random, validation: 0.15, test: 0.15, seed: 42}",
    ]


def _yaml(value: Any) -> str:
    """Return a word as it is, anything else as JSON, which is YAML, too."""
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    plain = isinstance(value, str) and _WORD.match(value) and value.lower() not in ("true", "false", "null")
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


def _name_from(source: str) -> str:
    stem = re.split(r"[/\\]", source.rstrip("/*"))[-1].partition(".")[0]
    return re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_").lower() or "pipeline"
