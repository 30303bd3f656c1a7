"""Put a stage's surroundings together: connections first, ``[aimass]`` options where there is none."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowNotFoundException
from pydantic import SecretStr

from aimass.core.deps import Runtime
from aimass.core.errors import NotFoundError
from aimass.core.storage import Store
from aimass.hooks.mlflow import MlflowHook, MlflowSettings
from aimass.hooks.options import default_store, option
from aimass.hooks.store import StoreHook, StoreSettings


def build_runtime(*, store_conn_id: str, tracking_conn_id: str, **others: Any) -> Runtime:
    """Return the surroundings of a stage.

    Parameters
    ----------
    store_conn_id, tracking_conn_id : str
        Connections; a default one that does not exist is replaced by the options of ``[aimass]``.
    **others
        Further fields of `Runtime`: project, run, principal.

    Raises
    ------
    NotFoundError
        A connection that was named on purpose does not exist.
    """
    store = store_of(store_conn_id)
    mlflow = _mlflow(tracking_conn_id)
    return Runtime(
        store=store.root,
        storage_options=store.options,
        tracking_uri=mlflow.tracking_uri or None,
        registry_uri=mlflow.registry_uri,
        tracking_token=SecretStr(mlflow.token) if mlflow.token else None,
        study_storage=option("study_storage"),
        spool_dir=option("spool_dir"),
        **others,
    )


def store_of(conn_id: str) -> StoreSettings:
    """Return the store of a connection, or of ``[aimass]`` where there is no default connection."""
    try:
        return StoreHook(conn_id).settings()
    except AirflowNotFoundException:
        if conn_id != StoreHook.default_conn_name:
            raise _no_connection(conn_id, StoreHook.conn_type) from None
        return StoreSettings(option("store") or default_store(), {})


def open_store(conn_id: str = StoreHook.default_conn_name) -> Store:
    """Return the store of a connection, open; see `store_of`."""
    settings = store_of(conn_id)
    return Store(settings.root, options=settings.options)


def _mlflow(conn_id: str) -> MlflowSettings:
    try:
        return MlflowHook(conn_id).settings()
    except AirflowNotFoundException:
        if conn_id != MlflowHook.default_conn_name:
            raise _no_connection(conn_id, MlflowHook.conn_type) from None
        return MlflowSettings(option("tracking_uri") or "", option("registry_uri"), None)


def _no_connection(conn_id: str, conn_type: str) -> NotFoundError:
    return NotFoundError(
        f"There is no connection {conn_id!r}",
        expected=f"a connection of type {conn_type}",
        hint="Add it under Admin → Connections, or leave the default to use the [aimass] options",
    )
