"""`airflow aimass init`: what an Airflow that somebody runs already needs to show pipelines."""

from __future__ import annotations

from argparse import Namespace
from importlib import resources
from pathlib import Path

from aimass.cli.console import Exit, command, say
from aimass.core.errors import NotAllowedError, from_os_error

DAG_FILE = '''"""Airflow DAGs from include/pipelines/*.yaml: one DAG `aimass_<name>` for each file."""
from aimass.pipelines import pipeline_dags
globals().update(pipeline_dags(__file__))
'''
FORM_DAG_FILE = '''"""Airflow DAGs for ad-hoc training: one DAG `aimass_train_<form>` for each form."""
from aimass.pipelines.forms.dags import form_dags
globals().update(form_dags())
'''
INGEST_DAG_FILE = '''"""Airflow DAGs for reading sources: one DAG `aimass_ingest_<type>` for each kind."""
from aimass.pipelines.forms.ingest import ingest_dags
globals().update(ingest_dags())
'''
MONITOR_DAG_FILE = '''"""Airflow DAGs from include/alerts/*.yaml: a DAG `aimass_monitor_<model>` for each file."""
from aimass.pipelines.monitors import monitor_dags
globals().update(monitor_dags(__file__))
'''
ACTION_DAG_FILE = '''"""The Airflow DAG `aimass_{name}`."""
from aimass.pipelines.actions import {name}_dag
dag = {name}_dag(__file__)
'''
ACTIONS = ("rollback", "retire", "batch_predict", "improve")


@command
def init(args: Namespace) -> Exit:
    """Write the DAG files and the sample pipelines below the folder."""
    root = Path(args.dir).expanduser()
    dags = {"pipelines": DAG_FILE, "train": FORM_DAG_FILE, "ingest": INGEST_DAG_FILE, "monitor": MONITOR_DAG_FILE}
    dags |= {name: ACTION_DAG_FILE.format(name=name) for name in ACTIONS}
    files = {root / "dags" / f"aimass_{name}.py": text for name, text in dags.items()}
    for sample in resources.files("aimass.pipelines").joinpath("samples").iterdir():
        if sample.name.endswith(".yaml"):
            files[root / "include" / "pipelines" / sample.name] = sample.read_text(encoding="utf-8")
    for path, text in sorted(files.items()):
        say(f"{_write(path, text, force=args.force)}  {path}")
    say()
    say(
        f"If Airflow's dags_folder is not {root / 'dags'}, move the DAG files there and set [aimass] pipelines_dir, "
        "alerts_dir."
    )
    say("Next: airflow aimass pipeline new --source <file> --target <column>, then airflow aimass pipeline validate")
    return Exit.OK


def _write(path: Path, text: str, *, force: bool) -> str:
    """Write a file and say what was done; what somebody changed is kept."""
    try:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return "is there "
        if path.exists() and not force:
            raise NotAllowedError(f"{path} is there and differs", hint="--force overwrites it", path=str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise from_os_error(error, doing=f"writing {path}") from error
    return "wrote    "
