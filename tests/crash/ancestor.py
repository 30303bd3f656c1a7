"""What the one common ancestor of all tests' tasks imports, and what each of them would else prepare anew."""

from __future__ import annotations

import contextlib
import importlib

from sqlalchemy.orm import configure_mappers

# Imported late by what the tasks do; none of these starts threads.
LATE = (
    *("alembic.command", "alembic.config", "babel.dates", "babel.messages.pofile", "encodings.cp437", "jinja2.ext"),
    *("matplotlib.backends.backend_svg", "onnxmltools.convert.lightgbm", "pandas", "PIL.features"),
    *("mlflow.store.tracking.sqlalchemy_workspace_store", "mlflow.store.model_registry.sqlalchemy_workspace_store"),
    *("aimass.core.release.mlflow", "aimass.core.tracking.mlflow", "aimass.core.testing.endpoints"),
    "airflow.sdk.execution_time.supervisor",
)
TASKS = ("search", "release", "stage", "rollback", "ingest")

for name in TASKS:
    importlib.import_module(f"tests.crash.{name}_tasks")
for module in LATE:
    # One that its package has moved is imported by the tasks again.
    with contextlib.suppress(ImportError):
        importlib.import_module(module)
# The first query of a process joins all mapped classes that it has imported, Airflow's too: a second for each task.
configure_mappers()
