"""The DAGs ``aimass_ingest_<type>``: one for each kind of source, filled in on the trigger page or over REST."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, get_parsing_context

from aimass.core.sources import SOURCES
from aimass.operators.assets import stage_asset
from aimass.operators.ingest import IngestOperator
from aimass.operators.ingest_form import (
    GROUP,
    NAME_PATTERN,
    OPTIONS,
    STAGE_FIELDS,
    is_flat,
    project_of_form,
    shown_fields,
    source_settings,
)
from aimass.pipelines.broken import broken_dag
from aimass.pipelines.check import cache_file
from aimass.pipelines.dag import RETRIES, RETRY_DELAY
from aimass.pipelines.forms.params import flat_shape
from aimass.pipelines.load import PipelineError
from aimass.pipelines.model import DAG_PREFIX

INGEST_DAG_PREFIX = f"{DAG_PREFIX}ingest_"
MAX_ACTIVE_RUNS = 8
ABOUT = {
    "files": "Reads files into a dataset: CSV, JSON lines, Parquet or ORC",
    "hdfs": "Reads files on HDFS into a dataset",
    "kafka": "Reads messages of Kafka topics into a dataset",
    "mongodb": "Reads a MongoDB collection into a dataset",
    "mysql": "Reads a MySQL table or query into a dataset",
    "obs": "Reads objects of OBS, or of another object store, into a dataset",
}
"""What each form does; of a source not listed here, the first line of its docstring says so."""
TITLES = {
    "conn_id": "Connection",
    "cursor": "Incremental by",
    "incremental": "Incremental by",
    "name": "Name of the dataset",
    "uri": "Address",
}
"""Of the fields whose title is not their name."""
MORE = "More settings"
"""The section of what may stay as it is."""
DOC = """\
{title}

Fill in the form with *Trigger*, or send the same fields as the conf of a run; what is wrong with it is said before a \
run begins. All that a run needs besides is the connection, under *Admin → Connections*. The rows become a dataset of \
the project `{project}`; where it lies, the task `ingest` returns as `uri`, and the asset's event tells.

What the form may read is for `[aimass]` to bound: `form_connections`, `allowed_connections`, `allowed_roots`."""


def ingest_dag_id(kind: str) -> str:
    """Return the id of the DAG that reads sources of a kind."""
    return INGEST_DAG_PREFIX + kind


def kind_of_dag(dag_id: str) -> str | None:
    """Return the kind of source that the DAG of a form reads, or None."""
    kind = dag_id.removeprefix(INGEST_DAG_PREFIX)
    return kind if kind != dag_id and kind in SOURCES.names() else None


def ingest_dags() -> dict[str, DAG]:
    """Return the DAG of every kind of source by its id; in a task, only the task's own."""
    wanted = get_parsing_context().dag_id
    dags: dict[str, DAG] = {}
    for kind in SOURCES.names():
        if wanted not in (None, ingest_dag_id(kind)):
            continue
        try:
            dag = ingest_dag(kind)
        except Exception as error:  # noqa: BLE001 - one source's missing package must not take the others down
            told = [("", f"cannot become a DAG: {type(error).__name__}: {error}")]
            fault = PipelineError(Path(f"ingest_{kind}"), told)
            dag = broken_dag(fault.file, fault, taken=set(dags))
        dags[dag.dag_id] = dag
    return dags


def ingest_dag(kind: str) -> DAG:
    """Return the DAG that reads sources of `kind`."""
    form = _form(kind)
    project = project_of_form(kind)
    with DAG(
        dag_id=ingest_dag_id(kind),
        description=form["title"],
        doc_md=DOC.format(title=form["title"], project=project),
        schedule=None,
        tags=["aimass", "form", "ingest"],
        default_args={"owner": "aimass", "retries": RETRIES, "retry_delay": RETRY_DELAY},
        params={name: Param(**shape) for name, shape in form["fields"].items()},
        max_active_runs=MAX_ACTIVE_RUNS,
        # The run of a paused DAG waits for ever, without a word.
        is_paused_upon_creation=False,
    ) as dag:
        IngestOperator(
            task_id="ingest",
            source_form=kind,
            project=f"{project}{{{{ '.' ~ params.{GROUP} if params.{GROUP} else '' }}}}",
            outlets=[stage_asset(project, "ingest")],
        )
    return dag


def _form(kind: str) -> dict[str, Any]:
    """Return title and fields of the form; what they are made from brings the engine along, so it is remembered."""
    file = cache_file(b"ingest form", kind.encode())
    with contextlib.suppress(OSError, ValueError):
        remembered: dict[str, Any] = json.loads(file.read_text())
        return remembered
    form = {"title": _title(kind), "fields": _fields(kind)}
    # A folder that cannot be written costs time, nothing else.
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        written = file.with_name(f"{file.name}.{os.getpid()}")
        written.write_text(json.dumps(form))
        written.replace(file)
    return form


def _title(kind: str) -> str:
    said = (inspect.getdoc(SOURCES.load(kind)) or kind).partition("\n")[0]
    return ABOUT.get(kind, f"Reads into a dataset: {said[:1].lower()}{said[1:]}")


def _fields(kind: str) -> dict[str, dict[str, Any]]:
    """Return the schema of each field: what is read and how, then what may stay as it is.

    The trigger page shows fields without a section at once, and hides those of a section until somebody opens it.
    """
    from aimass.core.stages import STAGES

    source, stage = source_settings(kind).model_json_schema(), STAGES.load("ingest").config.model_json_schema()
    shown = shown_fields(kind)
    others = [name for name in source["properties"] if name not in shown]
    fields = {"name": {**_field(stage, "name"), "pattern": NAME_PATTERN}, "mode": _field(stage, "mode")}
    fields |= {name: _field(source, name) for name in shown}
    hidden = {name: _field(stage, name) for name in STAGE_FIELDS if name not in fields}
    hidden[GROUP] = {
        "title": "Group",
        "description": "Keeps datasets apart: those of a group are in a project of their own.",
        "type": ["string", "null"],
        "pattern": NAME_PATTERN,
        "default": None,
    }
    hidden[OPTIONS] = {
        "title": "Options of the source",
        "description": f"Further settings of the source: {', '.join(others)}." if others else "There are none.",
        "type": ["object", "null"],
        "default": None,
    }
    return fields | {name: {**field, "section": MORE} for name, field in hidden.items()}


def _field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the schema of one field; what is neither flat nor text of some kind is a box for JSON."""
    field = schema["properties"][name]
    words = {"title": TITLES.get(name, name.replace("_", " ").capitalize())}
    if is_flat(field):
        return flat_shape({**field, **words}, is_required=name in schema.get("required", ()))
    kinds = {kind.get("type") for kind in field.get("anyOf", [field])} - {"null"}
    plain = {"type": ["string" if kinds == {"string"} else "object", "null"], "default": field.get("default")}
    return {"description": field["description"], **words, **plain}
