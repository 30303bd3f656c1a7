"""Connections: where a server is and who asks, kept apart from configurations, manifests and logs.

With Airflow, a hook turns a connection into such a document. Without it, the document stands in the runtime's
``connections``, or as JSON in the environment variable ``AIMASS_CONN_<ID>``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import SecretStr

from aimass.core.errors import ConfigError, NotFoundError
from aimass.core.settings import Settings, parse_settings

VARIABLE_PREFIX = "AIMASS_CONN_"


class ConnectionSettings(Settings):
    """Base of what a kind of server needs to be reached; secrets are `SecretStr`."""


C = TypeVar("C", bound=ConnectionSettings)


def sealed(document: Any) -> SecretStr:
    """Return a connection's document as one secret, which no log and no dump of a model shows."""
    if isinstance(document, SecretStr):
        return document
    return SecretStr(document if isinstance(document, str) else json.dumps(document))


def find_connection(connections: Mapping[str, SecretStr], conn_id: str, model: type[C]) -> C:
    """Return the connection `conn_id` as `model`.

    Raises
    ------
    NotFoundError
        Nobody knows a connection of that name.
    ConfigError
        A field is unknown, missing or impossible; no value is told.
    """
    text = connections[conn_id].get_secret_value() if conn_id in connections else _from_environment(conn_id)
    if text is None:
        raise NotFoundError(
            f"There is no connection {conn_id!r}",
            known=connections,
            hint=f"Add it under Admin → Connections; without Airflow, to `connections` of the runtime or as JSON "
            f"to {_variable(conn_id)}",
            conn_id=conn_id,
        )
    try:
        document = json.loads(text)
    except ValueError:
        raise ConfigError(f"The connection {conn_id!r} is not JSON", expected="an object of fields") from None
    return parse_connection(conn_id, document, model)


def parse_connection(conn_id: str, document: Any, model: type[C]) -> C:
    """Return the fields of the connection `conn_id` as `model`; raises ConfigError, which tells no value."""
    return parse_settings(model, document, where=f"the connection {conn_id!r}", is_secret=True)


def _from_environment(conn_id: str) -> str | None:
    return os.environ.get(_variable(conn_id))


def _variable(conn_id: str) -> str:
    return VARIABLE_PREFIX + "".join(letter if letter.isalnum() else "_" for letter in conn_id).upper()
