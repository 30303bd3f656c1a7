"""What Airflow learns about this provider: the entry point `apache_airflow_provider`."""

from __future__ import annotations

from typing import Any

from aimass import __version__
from aimass.connection_types import connection_types

INTEGRATION = "AI Mass"
_STAGES = (
    "ingest", "ingest_pieces", "join", "split", "explore", "validate", "clean", "featurize", "train", "evaluate",
    "optimize", "release",
)  # fmt: skip
_IN_USE = (
    "alert",
    "batch_predict",
    "compare",
    "deploy",
    "improve",
    "monitor",
    "promote",
    "retire",
    "rollback",
    "scrape",
)


_SENSORS = ("drift", "endpoint_health", "metric", "new_data")


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description in the shape of Airflow's ``provider_info.schema.json``."""
    types = connection_types()
    return {
        "package-name": "airflow-provider-aimass",
        "name": INTEGRATION,
        "description": "A machine-learning platform that lives inside Apache Airflow.",
        "integrations": [{"integration-name": INTEGRATION, "tags": ["software"]}],
        "operators": [
            {
                "integration-name": INTEGRATION,
                "python-modules": [f"aimass.operators.{name}" for name in (*_STAGES, "approve", *_IN_USE)],
            }
        ],
        "sensors": [
            {
                "integration-name": INTEGRATION,
                "python-modules": [f"aimass.sensors.{name}" for name in _SENSORS],
            }
        ],
        "triggers": [
            {"integration-name": INTEGRATION, "python-modules": ["aimass.triggers.condition", "aimass.triggers.follow"]}
        ],
        "hooks": [
            {
                "integration-name": INTEGRATION,
                "python-modules": sorted({kind["hook-class-name"].rpartition(".")[0] for kind in types}),
            },
        ],
        "connection-types": types,
        "extra-links": [
            "aimass.links.report.ReportLink",
            "aimass.links.mlflow.MlflowRunLink",
            "aimass.links.mlflow.ModelVersionLink",
        ],
        "notifications": [
            "aimass.notifications.notifier.NoticeNotifier",
            "aimass.notifications.notifier.ModelNotifier",
        ],
        "asset-uris": [
            {
                "schemes": ["aimass"],
                "handler": "aimass.operators.assets.sanitize_uri",
                "factory": "aimass.operators.assets.create_asset",
            }
        ],
        "cli": ["aimass.cli.get_cli_commands"],
        "config": {
            "aimass": {
                "description": "Where AI Mass stores, and what a trigger may name.",
                "options": _options() | _boundary_options(),
            }
        },
    }


def _options() -> dict[str, dict[str, Any]]:
    return {
        "store": _option(
            "Where outputs are written when there is no connection aimass_store; $AIRFLOW_HOME/aimass when empty.",
            example="s3://bucket/aimass",
        ),
        "tracking_uri": _option(
            "MLflow's address when there is no connection aimass_mlflow; a database file in the store when empty.",
            example="http://mlflow:5000",
        ),
        "registry_uri": _option("MLflow's model registry, where it is another server.", example="http://registry:5000"),
        "study_storage": _option(
            "SQLAlchemy URL of the database for hyper-parameter studies; a file in a local store when empty.",
            example="postgresql+psycopg2://user:password@host/optuna",
            sensitive=True,
        ),
        "spool_dir": _option("Local folder for files of remote stores.", example="/var/spool/aimass"),
        "serving_url": _option(
            "The inference server's address when there is no connection aimass_serving.",
            example="http://serving:8000",
        ),
        "alerts_dir": _option(
            "Folder of alert YAML files, one for each watched model; include/alerts beside the DAG file's folder when "
            "empty.",
            example="/opt/airflow/include/alerts",
        ),
        "pipelines_dir": _option(
            "Folder of pipeline YAML files; include/pipelines beside the DAG file's folder when empty.",
            example="/opt/airflow/include/pipelines",
        ),
        "new_data_poll_s": _option(
            "How often, in seconds, a source is asked for new data where a pipeline's schedule is @new_data; 30 when "
            "empty.",
            example="5",
        ),
        "check_cache": _option(
            "Folder in which pipelines found good are remembered; below $AIRFLOW_HOME when empty.",
            example="/var/cache/aimass",
        ),
        "api_url": _option(
            "Airflow's address for `airflow aimass pipeline run|status`; [api] base_url when empty.",
            example="http://localhost:8080",
        ),
        "failpoints": _option(
            "Crash tests only: module:callable that makes the fail points. Leave it empty.",
            example="aimass.core.testing.failpoints:from_environment",
        ),
    }


def _boundary_options() -> dict[str, dict[str, Any]]:
    """Return what bounds a trigger; see `aimass.hooks.allow`."""
    return {
        "allowed_roots": _option(
            "Folders and URI prefixes, separated by commas, below which a conf may name paths; none when empty.",
            example="s3://lake/public,/data/uploads",
        ),
        "upload_limit_mb": _option(
            "Greatest size, in MB, of a file that is uploaded on the page New model; 1024 when empty.", example="4096"
        ),
        "allowed_connections": _option(
            "Connection ids, separated by commas, that a trigger's conf may name; none when empty.",
            example="lake_readonly",
        ),
        "form_connections": _option(
            "Connection ids, separated by commas, that the forms aimass_ingest_<type> may name besides those of "
            "allowed_connections; none when empty.",
            example="aimass_mysql,orders_readonly",
            default="aimass_mysql,aimass_mongodb,aimass_kafka,aimass_hdfs,aimass_obs",
        ),
        "allowed_import_prefixes": _option(
            "Python packages, separated by commas, from which a trigger's conf may import; none when empty.",
            example="acme.models",
        ),
    }


def _option(description: str, *, example: str, default: str = "", sensitive: bool = False) -> dict[str, Any]:
    option: dict[str, Any] = {
        "description": description,
        "version_added": __version__,
        "type": "string",
        "example": example,
        "default": default,
    }
    return {**option, "sensitive": True} if sensitive else option
