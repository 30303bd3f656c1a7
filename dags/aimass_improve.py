"""The Airflow DAG `aimass_improve`: trains a challenger and promotes it where it is better."""

from aimass.pipelines.actions import improve_dag

dag = improve_dag(__file__)
