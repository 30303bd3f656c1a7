"""Forms for ad-hoc training: flat, typed fields for Airflow's trigger page, our own pages and REST alike.

One form per kind of source (`FORMS`); each becomes the DAG ``aimass_train_<form>`` and stands for a pipeline document:
a form can do nothing that a YAML file cannot. Third parties add theirs by the entry point group ``aimass.form``.
"""

from __future__ import annotations

from aimass.operators.forms import FORMS, read_form
from aimass.pipelines.forms.base import TrainForm
from aimass.pipelines.forms.params import form_params
from aimass.pipelines.model import DAG_PREFIX

__all__ = [
    "FORMS",
    "TrainForm",
    "dag_of_project",
    "form_dag_id",
    "form_of_dag",
    "form_params",
    "project_of",
    "read_form",
]

FORM_DAG_PREFIX = f"{DAG_PREFIX}train_"


def form_dag_id(form: str) -> str:
    """Return the id of the DAG that the form `form` triggers."""
    return FORM_DAG_PREFIX + form


def form_of_dag(dag_id: str) -> str | None:
    """Return the form whose DAG that is, or None."""
    form = dag_id.removeprefix(FORM_DAG_PREFIX)
    return form if form != dag_id and form in FORMS.names() else None


def project_of(form: str, name: str) -> str:
    """Return the project that the outputs of a run of `form` for the model `name` belong to."""
    return f"{form}.{name}"


def dag_of_project(project: str) -> str:
    """Return the id of the DAG whose runs write into `project`."""
    # A pipeline's name has no dot; what stands before it is a form for training, or `ingest_<type>`.
    form, dot, _ = project.partition(".")
    return form_dag_id(form) if dot and form in FORMS.names() else DAG_PREFIX + form
