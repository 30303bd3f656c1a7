"""From the connections that a configuration names to the documents that the engine's runtime holds.

The engine knows a connection by its id alone. Which hook reads it, Airflow's connection says by its type: ours, or the
standard type of the same server. Third parties add theirs by the entry point group ``aimass.hook``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from aimass.core.backends import BackendOf
from aimass.core.connections import sealed
from aimass.core.errors import ConfigError, NotFoundError
from aimass.core.registry import Registry
from aimass.core.settings import ConnectionMarker, Settings, has_marker

if TYPE_CHECKING:
    from pydantic import BaseModel, SecretStr


class ConnectionHook(Protocol):
    """A hook whose connection the engine can use."""

    conn_type: ClassVar[str]

    def __init__(self, conn_id: str, /) -> None: ...

    def document(self) -> dict[str, Any]:
        """Return the connection's fields as the engine's model of such a server takes them."""

    def test_connection(self) -> tuple[bool, str]:
        """Ask the server for something small; return whether that worked and what came of it."""


_OURS = {
    "aimass_mysql": "aimass.hooks.mysql:MySqlHook",
    "aimass_mongodb": "aimass.hooks.mongodb:MongoDbHook",
    "aimass_kafka": "aimass.hooks.kafka:KafkaHook",
    "aimass_hdfs": "aimass.hooks.hdfs:HdfsHook",
    "aimass_obs": "aimass.hooks.obs:ObsHook",
}
STANDARD_TYPES = {
    "mysql": "aimass_mysql",
    "mongo": "aimass_mongodb",
    "kafka": "aimass_kafka",
    "webhdfs": "aimass_hdfs",
    "aws": "aimass_obs",
}
"""The types of the official providers whose connections our hooks read, too."""
HOOKS: Registry[type[ConnectionHook]] = Registry(
    "hook", _OURS | {standard: _OURS[ours] for standard, ours in STANDARD_TYPES.items()}
)
"""By type of connection."""


class NamedConnection(NamedTuple):
    """A connection that a configuration names.

    Attributes
    ----------
    conn_id : str
        Its id.
    default : str
        The field's own default, which is called like our type of such connections.
    owner : mapping
        The document that names it, such as a source's.
    """

    conn_id: str
    default: str
    owner: Mapping[str, Any]


def named_connections(model: type[BaseModel], document: Mapping[str, Any]) -> Iterator[NamedConnection]:
    """Yield the connections that `document`, written for `model`, names; a field that is left out has its default.

    Raises
    ------
    UnknownNameError
        A part names a backend that does not exist.
    """
    for name, info in model.model_fields.items():
        default = info.get_default(call_default_factory=True)
        value = document.get(name, default)
        registry = next((note.registry for note in info.metadata if isinstance(note, BackendOf)), None)
        if registry is not None:
            for part in _backend_documents(value):
                yield from named_connections(registry.load(part["type"]).Settings, part)
        elif has_marker(info, ConnectionMarker) and isinstance(value, str):
            yield NamedConnection(value, default if isinstance(default, str) else "", document)
        elif isinstance(info.annotation, type) and issubclass(info.annotation, Settings) and isinstance(value, Mapping):
            yield from named_connections(info.annotation, value)


def connections_of_stage(stage: str, config: Mapping[str, Any]) -> list[NamedConnection]:
    """Return the connections that a configuration of `stage` names."""
    # The stages bring polars with them.
    from aimass.core.stages import STAGES

    return list(named_connections(STAGES.load(stage).config, config))


def connection_documents(named: list[NamedConnection]) -> dict[str, SecretStr]:
    """Return the documents of connections by id, as a runtime holds them; their secrets are masked in logs.

    One that does not exist is left out: who needs it says so, and may know it from elsewhere.

    Raises
    ------
    ConfigError
        A connection is of a type that its source cannot use, or lacks a field.
    """
    found = {one.conn_id: _document(one) for one in named}
    return {conn_id: sealed(document) for conn_id, document in found.items() if document is not None}


def hook_of(conn_id: str) -> ConnectionHook:
    """Return the hook that reads a connection, by its type.

    Raises
    ------
    NotFoundError
        There is no such connection.
    ConfigError
        No hook of ours reads its type.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise NotFoundError(
            f"There is no connection {conn_id!r}", hint="Add it under Admin → Connections", conn_id=conn_id
        ) from None
    return _hook(NamedConnection(conn_id, "", {}), connection.conn_type)(conn_id)


def _document(named: NamedConnection) -> dict[str, Any] | None:
    try:
        connection = BaseHook.get_connection(named.conn_id)
    except AirflowNotFoundException:
        return None
    hook = _hook(named, connection.conn_type)
    document = hook(named.conn_id).document()
    mask_secret(document)
    return document


def _hook(named: NamedConnection, conn_type: str | None) -> type[ConnectionHook]:
    """Return the hook for connections of `conn_type`, where it is one that the field can use."""
    hook = HOOKS.load(conn_type) if conn_type in HOOKS.names() else None
    is_typed = named.default in HOOKS.names()
    if hook is None or (is_typed and hook.conn_type != named.default):
        standard = [name for name, ours in STANDARD_TYPES.items() if ours == named.default]
        raise ConfigError(
            f"The connection {named.conn_id!r} is of the type {conn_type!r}",
            expected=f"the type {' or '.join([named.default, *standard])}" if is_typed else "a type with a hook",
            known=None if is_typed else HOOKS.names(),
            hint="Name another connection, or change its type under Admin → Connections",
            conn_id=named.conn_id,
        )
    return hook


def _backend_documents(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what names a backend in a field that holds one, a list of them, or several by name."""
    if isinstance(value, Mapping) and isinstance(value.get("type"), str):
        yield value
    elif isinstance(value, Mapping):
        yield from (part for inner in value.values() for part in _backend_documents(inner))
    elif isinstance(value, (list, tuple)):
        yield from (part for inner in value for part in _backend_documents(inner))
