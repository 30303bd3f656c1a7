"""Airflow DAGs for reading sources: one DAG `aimass_ingest_<type>` for each kind, such as aimass_ingest_mysql."""

from aimass.pipelines.forms.ingest import ingest_dags

globals().update(ingest_dags())
