"""The engine: stages and their backends in pure Python, without Airflow."""
