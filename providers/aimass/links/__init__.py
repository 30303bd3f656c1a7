"""Links from a task in Airflow's pages to what it made. Airflow asks for them when the task ends."""
