-- MLflow keeps its tables beside Airflow's database, never in it.
CREATE DATABASE mlflow OWNER airflow;
