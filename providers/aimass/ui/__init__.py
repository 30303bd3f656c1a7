"""The "AI Mass" pages inside Airflow: a FastAPI app behind Airflow's login, rendered on the server.

Who does what::

    plugin.py            what Airflow loads: menu entry, tabs, the app (imported by the API server only)
    app.py               the app: routes, static files, errors as pages, security headers
    security.py          who reads: Airflow's user, Airflow's permission on a DAG
    pages.py, languages.py  templates, languages, what every page is given
    queries/             what Airflow's database knows: pipelines, runs, tasks' results, approvals
    surroundings.py      the store and the registry, as a stage of that pipeline would see them
    routes/              one file per page
    templates/ static/ locale/

Only this package may use Airflow's database: it runs in the API server, never in a task.
"""
