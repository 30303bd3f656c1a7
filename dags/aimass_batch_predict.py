"""The Airflow DAG `aimass_batch_predict`: has a released model answer the rows of a table."""

from aimass.pipelines.actions import batch_predict_dag

dag = batch_predict_dag(__file__)
