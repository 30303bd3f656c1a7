"""The store and the registry as the stages see them, for pages that read what those wrote."""

from __future__ import annotations

from aimass.core.deps import Deps
from aimass.hooks.mlflow import MlflowHook
from aimass.hooks.runtime import build_runtime
from aimass.hooks.store import StoreHook


def deps_for(reader: str) -> Deps:
    """Return the surroundings of every pipeline, read by `reader`.

    The connections are the default ones: a DAG that writes elsewhere shows its results in Airflow only.
    """
    runtime = build_runtime(
        store_conn_id=StoreHook.default_conn_name,
        tracking_conn_id=MlflowHook.default_conn_name,
        project="pages",
        run_id="pages",
        principal=reader,
    )
    return Deps.from_runtime(runtime, purpose="page")
