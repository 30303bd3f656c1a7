"""The form of an ingest: a source's own settings and those of the stage, flat, as the trigger page and REST send them.

Nothing is written twice: the fields are those of the source's `Settings` and of `IngestConfig`. The engine comes with
them, so it is imported inside.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aimass.core.errors import ConfigError, nearest_name
from aimass.core.settings import LocationMarker, given
from aimass.hooks.connections import connections_of_stage
from aimass.operators.forms import FOREIGN_PREFIX

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from aimass.core.settings import Settings
    from aimass.hooks.allow import AllowList

STAGE_FIELDS = (
    "name",
    "mode",
    "keep",
    "on_added_column",
    "on_widened_type",
    "on_lost_column",
    "max_reject_share",
)
"""The fields of `IngestConfig` that a form offers, beside the source's."""
SHOWN_FIELDS: dict[str, tuple[str, ...]] = {
    "files": ("uri", "format", "encoding", "delimiter", "columns"),
    "hdfs": ("conn_id", "path", "format", "encoding", "delimiter", "columns"),
    "kafka": ("conn_id", "topics", "pattern", "format", "value_schema", "message", "start", "until", "max_messages"),
    "mongodb": ("conn_id", "collection", "database", "filter", "projection", "cursor", "lookback"),
    "mysql": ("conn_id", "table", "query", "where", "columns", "incremental", "lookback", "consistency"),
    "obs": ("conn_id", "uri", "format", "encoding", "delimiter", "columns"),
}
"""The settings of a source that have a field of their own; of one not listed here, all that fit a page have one."""
GROUP = "group"
OPTIONS = "options"
NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,99}$"


def source_settings(kind: str) -> type[Settings]:
    """Return the settings of the sources of a kind; raises UnknownNameError."""
    from aimass.core.sources import SOURCES

    return SOURCES.load(kind).Settings


def shown_fields(kind: str) -> list[str]:
    """Return the settings of the source `kind` that have a field of their own; the others stand in `OPTIONS`."""
    if kind in SHOWN_FIELDS:
        return list(SHOWN_FIELDS[kind])
    fields = source_settings(kind).model_json_schema()["properties"]
    return [name for name, schema in fields.items() if is_flat(schema)]


def is_flat(schema: Mapping[str, Any]) -> bool:
    """Return whether a trigger page has a field for such a value: text, number, yes-or-no, a list of texts, or none."""
    if "anyOf" in schema:
        kinds = [kind for kind in schema["anyOf"] if kind != {"type": "null"}]
        return len(kinds) == 1 and is_flat(kinds[0])
    if schema.get("type") == "array":
        return bool(schema.get("items", {}).get("type") == "string")
    return schema.get("type") in ("string", "integer", "number", "boolean")


def project_of_form(kind: str, group: str | None = None) -> str:
    """Return the project of what a form reads; never a pipeline's, whose chains no form must move on."""
    return f"ingest_{kind}.{group}" if group else f"ingest_{kind}"


def read_ingest_form(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of ``ingest`` that a filled-in form stands for.

    Parameters
    ----------
    kind : str
        The type of the source.
    values : mapping
        The fields; what is null or empty has its default.

    Raises
    ------
    ConfigError
        Fields are unknown, missing or impossible; ``details["mistakes"]`` has each as ``(field, text)``.
    """
    from aimass.core.stages import STAGES

    filled = given({name: value for name, value in values.items() if not name.startswith(FOREIGN_PREFIX)})
    shown = shown_fields(kind)
    mistakes = [*_mistakes(filled, [*shown, *STAGE_FIELDS, GROUP, OPTIONS])]
    if mistakes:
        raise _refusal(kind, mistakes)
    source = {"type": kind, **{name: filled[name] for name in shown if name in filled}, **filled.get(OPTIONS, {})}
    config = {**{name: filled[name] for name in STAGE_FIELDS if name in filled}, "source": source}
    try:
        STAGES.load("ingest").parse(config)
    except ConfigError as error:
        places = {*shown, *STAGE_FIELDS}
        found = [(_field(key, places), text) for key, text in error.details.get("mistakes", [("", error.message)])]
        raise _refusal(kind, found) from None
    return config


def check_ingest(config: Mapping[str, Any], allow: AllowList, store: str) -> None:
    """Raise NotAllowedError where a form's `config` names a connection or a path that it may not.

    What lies behind a connection is for the connection to bound; a `Location` is a path of this machine or a URI that
    any process here could open.
    """
    for named in connections_of_stage("ingest", config):
        allow.check_connection(named.conn_id, where=_name_of(named.owner, named.conn_id))
    source = config["source"]
    for name, info in source_settings(source["type"]).model_fields.items():
        if _is_location(info) and isinstance(value := source.get(name), str):
            allow.with_uploads(store, value).check_location(value, where=name)


def _mistakes(filled: Mapping[str, Any], known: list[str]) -> Iterator[tuple[str, str]]:
    for name in filled:
        if name not in known:
            nearest = nearest_name(name, known)
            hint = f"did you mean {nearest!r}?" if nearest else f"known: {', '.join(known)}"
            yield name, f"unknown key, {hint}"
    for name in ("name", GROUP):
        if name not in filled:
            if name == "name":
                yield name, "is required"
        elif not re.match(NAME_PATTERN, str(filled[name])):
            yield name, "use up to 100 English letters, digits and _, beginning with a letter"
    options = filled.get(OPTIONS, {})
    if not isinstance(options, Mapping):
        yield OPTIONS, f"is {options!r}"[:100] + ", expected a mapping of settings"
        return
    for name in options:
        if name == "type" or name in known:
            yield f"{OPTIONS}.{name}", "has a field of its own" if name != "type" else "is set by the form itself"


def _refusal(kind: str, mistakes: list[tuple[str, str]]) -> ConfigError:
    lines = "; ".join(f"{field}: {text}" if field else text for field, text in mistakes)
    return ConfigError(f"In the form 'ingest_{kind}': {lines}", mistakes=mistakes)


def _field(key: str, places: set[str]) -> str:
    """Return the form's field for the configuration's dotted `key`."""
    name = key.removeprefix("source.").partition(".")[0]
    return name if name in places else f"{OPTIONS}.{name}" if name else ""


def _name_of(owner: Mapping[str, Any], conn_id: str) -> str:
    """Return the field that names the connection."""
    return next((name for name, value in owner.items() if value == conn_id), "conn_id")


def _is_location(info: FieldInfo) -> bool:
    """Return whether a field holds a path, also one that may be left out."""
    found = any(isinstance(note, LocationMarker) for note in info.metadata)
    return found or any(isinstance(note, LocationMarker) for note in _notes(info.annotation))


def _notes(annotation: Any) -> Iterator[Any]:
    """Yield what is noted on the members of a union."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from typing.get_args(member)[1:]
