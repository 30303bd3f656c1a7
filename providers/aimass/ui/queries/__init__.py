"""What Airflow's database knows about pipelines. Every function takes a session and asks for few rows."""
