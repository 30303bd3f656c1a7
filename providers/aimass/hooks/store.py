"""The connection type ``aimass_store``: where datasets and artifacts are written."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret

from aimass.core.errors import AimassError, ConfigError
from aimass.core.storage import Store

# How each file system of fsspec calls the two halves of a credential.
_CREDENTIALS = {"s3": ("key", "secret"), "obs": ("key", "secret"), "abfs": ("account_name", "account_key")}


class StoreSettings(NamedTuple):
    """The store as the engine wants it.

    Attributes
    ----------
    root : str
        URI under which everything is written.
    options : dict
        ``{uri_prefix: fsspec options}``; may hold credentials.
    """

    root: str
    options: dict[str, dict[str, Any]]


class StoreHook(BaseHook):
    """Opens the store that a connection describes.

    Parameters
    ----------
    store_conn_id : str
        Connection of type ``aimass_store``.
    """

    conn_name_attr = "store_conn_id"
    default_conn_name = "aimass_store"
    conn_type = "aimass_store"
    hook_name = "AI Mass store"

    def __init__(self, store_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.store_conn_id = store_conn_id

    def settings(self) -> StoreSettings:
        """Return the connection as engine settings.

        Raises
        ------
        ConfigError
            The connection names no root, or its options are not a mapping.
        """
        return store_settings(self.get_connection(self.store_conn_id))

    def get_conn(self) -> Store:
        """Return the open store."""
        settings = self.settings()
        return Store(settings.root, options=settings.options)

    def test_connection(self) -> tuple[bool, str]:
        """Write, read and delete one small file; return whether that worked and what happened."""
        try:
            store = self.get_conn()
            probe = store.folder(f".probe-{uuid.uuid4().hex}")
            store.publish(probe, b"ok")
            found = store.read_bytes(probe)
            store.delete(probe)
        except (AimassError, ImportError, ValueError) as error:
            return False, str(error)
        return found == b"ok", f"wrote, read and deleted a file under {store.root}"


def store_settings(connection: Connection) -> StoreSettings:
    """Return the engine's settings for `connection`."""
    extra = connection.extra_dejson
    root = extra.get("root") or connection.host
    if not root:
        raise ConfigError(
            f"The connection {connection.conn_id!r} names no root",
            expected="a URI or folder in the field 'Root', such as s3://bucket/aimass",
        )
    options = extra.get("options") or {}
    if not isinstance(options, dict):
        raise ConfigError(
            f"The options of the connection {connection.conn_id!r} are not a mapping", expected="JSON object"
        )
    scheme = root.partition("://")[0] if "://" in root else "file"
    merged = {**_credentials(connection, scheme), **options}
    return StoreSettings(root, {root.rstrip("/"): merged} if merged else {})


def _credentials(connection: Connection, scheme: str) -> dict[str, Any]:
    names = _CREDENTIALS.get(scheme, ("username", "password"))
    values = (connection.login, connection.password)
    if connection.password:
        mask_secret(connection.password)
    found: dict[str, Any] = {name: value for name, value in zip(names, values, strict=True) if value}
    endpoint = connection.extra_dejson.get("endpoint_url")
    if endpoint:
        found["endpoint_url"] = endpoint
    return found
