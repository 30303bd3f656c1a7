"""From Airflow's connections and options to the engine's own configuration; the only place that reads secrets."""
