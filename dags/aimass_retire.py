"""The Airflow DAG `aimass_retire`: takes a version out of use."""

from aimass.pipelines.actions import retire_dag

dag = retire_dag(__file__)
