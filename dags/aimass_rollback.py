"""The Airflow DAG `aimass_rollback`: has an alias go back to a version that was good."""

from aimass.pipelines.actions import rollback_dag

dag = rollback_dag(__file__)
