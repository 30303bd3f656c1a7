"""Airflow DAGs for ad-hoc training: one DAG `aimass_train_<form>` for each form, such as aimass_train_file."""

from aimass.pipelines.forms.dags import form_dags

globals().update(form_dags())
