"""`make demo`: Airflow and MLflow on this machine, one real pipeline, and a released model at the end."""
