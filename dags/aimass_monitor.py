"""Airflow DAGs from include/alerts/*.yaml: one DAG `aimass_monitor_<model>` for each watched model."""

from aimass.pipelines.monitors import monitor_dags

globals().update(monitor_dags(__file__))
