"""The assets that stages publish: ``aimass://<project>/<artifact>``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult

from airflow.sdk import Asset

SCHEME = "aimass"
EVENT_FIELDS = ("uri", "digest", "rows", "version", "reused")


def stage_asset(project: str, artifact: str) -> Asset:
    """Return the asset that stands for `artifact` of `project`; other DAGs may be scheduled on it."""
    return Asset(name=f"{project}.{artifact}", uri=f"{SCHEME}://{project}/{artifact}")


def event_extra(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an asset's event tells about a stage's `result`."""
    return {name: result[name] for name in EVENT_FIELDS if result.get(name) is not None}


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check an asset URI of ours; Airflow calls this for every ``aimass://`` asset."""
    if not uri.netloc or not uri.path.strip("/"):
        raise ValueError(f"{uri.geturl()} is not of the form {SCHEME}://<project>/<artifact>")
    return uri


def create_asset(*, project: str, artifact: str, extra: dict[str, Any] | None = None) -> Asset:
    """Build an asset from its parts, for Airflow's asset factories."""
    asset = stage_asset(project, artifact)
    asset.extra.update(extra or {})
    return asset
