"""`airflow aimass source check|sample`: a first look at what a run would read."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aimass.cli.console import Exit, command, complain, say, say_json, table
from aimass.core.errors import AimassError, ConfigError, TransientError, from_os_error
from aimass.core.settings import parse_settings
from aimass.hooks.connections import connection_documents, connections_of_stage, hook_of
from aimass.hooks.runtime import build_runtime
from aimass.hooks.source import TYPE_PREFIX
from aimass.pipelines.document import DocumentError, parse_document
from aimass.pipelines.load import SUFFIXES, PipelineError
from aimass.pipelines.model import Pipeline

if TYPE_CHECKING:
    import pyarrow as pa

    from aimass.core.deps import Deps


class Named(NamedTuple):
    """A source and what it is called.

    Attributes
    ----------
    name : str
        Its name.
    config : dict
        The configuration of ``ingest`` that reads it.
    """

    name: str
    config: dict[str, Any]

    @property
    def kind(self) -> str:
        """The type of the source."""
        source = self.config["source"]
        return str(source.get("type")) if isinstance(source, dict) else "of no type"


class Verdict(NamedTuple):
    """What came of asking a source, or of testing a connection.

    Attributes
    ----------
    name, kind : str
        Which one.
    told : str
        What is wrong, or what a connection answered.
    is_well : bool
        Whether it can be read.
    is_later : bool
        Whether it may be well later.
    rows : int, optional
        About how many rows there are, where the source can say.
    columns : list of dict
        ``name`` and ``type`` of each column.
    """

    name: str
    kind: str
    told: str = ""
    is_well: bool = True
    is_later: bool = False
    rows: int | None = None
    columns: Sequence[dict[str, str]] = ()


@command
def check(args: Namespace) -> Exit:
    """Ask each source what it would give."""
    if _is_connection(args.what) and not args.settings:
        verdicts = [_tested(args.what)]
    else:
        verdicts = [_checked(one) for one in named_sources(args.what, args.settings)]
    if args.json:
        say_json([_document(verdict) for verdict in verdicts])
    else:
        for verdict in verdicts:
            _say(verdict)
    wrong = [verdict for verdict in verdicts if not verdict.is_well]
    if not wrong:
        return Exit.OK
    return Exit.LATER if all(verdict.is_later for verdict in wrong) else Exit.FAILED


@command
def sample(args: Namespace) -> Exit:
    """Print the first rows of each source."""
    if args.rows < 1:
        raise ConfigError(f"--rows is {args.rows}", expected="a number above 0")
    found = [_sampled(one, args.rows) for one in named_sources(args.what, args.settings)]
    if args.json:
        say_json(found)
        return Exit.OK
    for one in found:
        _say_rows(one)
    return Exit.OK


def named_sources(what: str, settings: Sequence[str] = ()) -> list[Named]:
    """Return the sources that `what` stands for.

    Parameters
    ----------
    what : str
        A YAML file, the id of a connection, or a data file.
    settings : sequence of str
        Each ``name=value``, of the source that a connection or data file is read by.

    Raises
    ------
    NotFoundError, ConfigError
        There is no such file or connection, or it does not say what to read.
    """
    if Path(what).suffix in SUFFIXES:
        if settings:
            raise ConfigError(
                f"{settings[0]!r} would change a source of {what}", expected="settings in the file itself"
            )
        return _sources_of_file(Path(what))
    if _is_connection(what):
        kind = hook_of(what).conn_type.removeprefix(TYPE_PREFIX)
        source = {"type": kind, "conn_id": what, **dict(map(_setting, settings))}
        return [Named(what, {"name": what, "source": source})]
    uri = what if "://" in what else str(Path(what).expanduser().absolute())
    source = {"type": "files", "uri": uri, **dict(map(_setting, settings))}
    return [Named(Path(what).name, {"name": Path(what).name, "source": source})]


def _is_connection(what: str) -> bool:
    """Return whether `what` is the id of a connection rather than a file's name or pattern."""
    return not ("/" in what or "*" in what or Path(what).suffix in SUFFIXES or Path(what).exists())


def _sources_of_file(file: Path) -> list[Named]:
    try:
        document = parse_document(file.read_text(encoding="utf-8")).content
    except OSError as error:
        raise from_os_error(error, doing="reading the sources") from error
    except (DocumentError, UnicodeDecodeError) as error:
        raise PipelineError(file, [(getattr(error, "key", ""), str(error))]) from None
    if not isinstance(document, dict) or not {"sources", "source", "type"} & document.keys():
        raise ConfigError(
            f"{file} says nothing about a source",
            expected="a pipeline with `sources`, a configuration of ingest with `source`, or a source with `type`",
        )
    if "sources" in document:
        pipeline = parse_settings(Pipeline, document, where=file.name)
        return [Named(section.config["name"], section.config) for section in pipeline.ingests()]
    config = document if "source" in document else {"source": document}
    return [Named(str(config.get("name", file.stem)), {"name": file.stem, **config})]


def _setting(text: str) -> tuple[str, Any]:
    name, mark, value = text.partition("=")
    if not mark or not name:
        raise ConfigError(f"{text!r} is no setting", expected="name=value, such as table=orders")
    try:
        return name, parse_document(value).content
    except DocumentError:
        # Such as *.csv, which begins like YAML's aliases.
        return name, value


def _tested(conn_id: str) -> Verdict:
    hook = hook_of(conn_id)
    is_well, told = hook.test_connection()
    return Verdict(conn_id, hook.conn_type, told, is_well)


def _checked(one: Named) -> Verdict:
    from aimass.core.datasets import normal_schema
    from aimass.core.stages import STAGES
    from aimass.core.stages.ingest_config import open_source

    try:
        config = STAGES.load("ingest").parse(one.config)
        source = open_source(config, _deps(one))
        position = source.position()
        if config.mode == "incremental":
            # A source that cannot tell what is new says so here.
            source.position(position)
        columns = _columns(normal_schema(source.schema(position)))
        estimate = getattr(source, "estimate", None)
        return Verdict(one.name, one.kind, rows=estimate(position) if estimate else None, columns=columns)
    except AimassError as error:
        return Verdict(one.name, one.kind, str(error), is_well=False, is_later=isinstance(error, TransientError))


def _sampled(one: Named, rows: int) -> dict[str, Any]:
    from aimass.core.datasets import normal_schema
    from aimass.core.sources.sample import take_sample
    from aimass.core.stages import STAGES

    config = STAGES.load("ingest").parse(one.config)
    found = take_sample(config.source, _deps(one), rows=rows)
    return {
        "name": one.name,
        "type": one.kind,
        "columns": _columns(normal_schema(found.rows.to_arrow().schema)),
        "rows": found.rows.to_dicts(),
        "rejected": found.reasons,
        "is_whole": found.is_whole,
    }


def _deps(one: Named) -> Deps:
    from aimass.core.deps import Deps

    connections = connection_documents(connections_of_stage("ingest", one.config))
    runtime = build_runtime(store_conn_id="aimass_store", tracking_conn_id="aimass_mlflow", connections=connections)
    return Deps.from_runtime(runtime, purpose="look")


def _columns(schema: pa.Schema) -> list[dict[str, str]]:
    from aimass.core.datasets import type_name

    return [{"name": field.name, "type": type_name(field.type)} for field in schema]


def _document(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.name,
        "type": verdict.kind,
        "ok": verdict.is_well,
        "told": verdict.told,
        "estimated_rows": verdict.rows,
        "columns": verdict.columns,
    }


def _say(verdict: Verdict) -> None:
    title = f"{verdict.name} ({verdict.kind})"
    if not verdict.is_well:
        say(f"{title}: cannot be read")
        complain(f"  {verdict.told}")
        return
    about = f", about {verdict.rows:,} rows" if verdict.rows is not None else ""
    held = f"{len(verdict.columns)} columns{about}" if verdict.columns else verdict.told
    say(f"{title}: ok, {held}")
    if verdict.columns:
        table(["column", "type"], [[_plain(one["name"]), one["type"]] for one in verdict.columns])


def _say_rows(one: Mapping[str, Any]) -> None:
    rows, more = one["rows"], "" if one["is_whole"] else ", and there are more"
    say(f"{one['name']} ({one['type']}): {len(rows)} rows{more}")
    table(
        ["column", "type", "values"],
        [
            [_plain(column["name"]), column["type"], " | ".join(_values(rows, column["name"]))]
            for column in one["columns"]
        ],
    )
    for reason, count in one["rejected"].items():
        complain(f"  {count} rows between them do not fit: {reason}")


def _values(rows: Sequence[Mapping[str, Any]], column: str) -> Iterator[str]:
    from aimass.core.sources.sample import shown

    return ("null" if row[column] is None else _plain(shown(row[column])) for row in rows)


def _plain(text: str) -> str:
    """Return `text` without what a terminal would obey: data may come from anybody."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)
