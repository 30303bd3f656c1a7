"""AI Mass: a machine-learning platform that lives inside Apache Airflow."""

__version__ = "0.1.0"
