"""Airflow DAGs from include/pipelines/*.yaml: one DAG `aimass_<name>` for each file."""

from aimass.pipelines import pipeline_dags

globals().update(pipeline_dags(__file__))
