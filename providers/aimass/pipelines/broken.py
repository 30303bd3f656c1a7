"""A file with a mistake becomes a DAG that says so, and harms no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator

from aimass.operators.failures import StageFailedError
from aimass.pipelines.load import PipelineError
from aimass.pipelines.model import DAG_PREFIX

BROKEN_TAG = "broken"
BROKEN_TASK = "broken"
PIPELINE_CHECK = "airflow aimass pipeline validate"


class BrokenPipelineOperator(BaseOperator):
    """Fails with the mistake, for those who trigger the DAG without reading its page.

    Parameters
    ----------
    message : str
        What is wrong.
    """

    ui_color = "#f6d5d5"

    def __init__(self, *, message: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message = message

    def execute(self, context: Any) -> None:
        """Fail, without a retry."""
        raise StageFailedError(self.message)


def broken_dag(
    file: Path, error: PipelineError, *, taken: set[str], prefix: str = DAG_PREFIX, check: str = PIPELINE_CHECK
) -> DAG:
    """Return the DAG that shows what is wrong with `file`; its id begins with `prefix` and is none of `taken`.

    `check` is the command that checks such a file at once.
    """
    dag_id = broken_dag_id(file, taken, prefix)
    with DAG(
        dag_id=dag_id,
        description=f"Broken: {error}"[:300],
        doc_md=_doc(file, error, check),
        schedule=None,
        tags=["aimass", BROKEN_TAG],
        is_paused_upon_creation=False,
        max_active_runs=1,
    ) as dag:
        BrokenPipelineOperator(task_id=BROKEN_TASK, message=str(error))
    return dag


def broken_dag_id(file: Path, taken: set[str], prefix: str = DAG_PREFIX) -> str:
    """Return the id that `file` would have had, made unique."""
    stem = re.sub(r"\W+", "_", file.stem, flags=re.ASCII).strip("_") or "unnamed"
    dag_id = prefix + stem[:100]
    return f"{dag_id}__broken" if dag_id in taken else dag_id


def _doc(file: Path, error: PipelineError, check: str) -> str:
    rows = "\n".join(f"| `{_cell(key) or '–'}` | {_cell(text)} |" for key, text in error.mistakes)
    return (
        f"# This file is broken\n\nFile: `{_cell(str(file))}`\n\n| key | what is wrong |\n|---|---|\n{rows}\n\n"
        "Mend the file: the DAG comes right the next time that Airflow parses it. "
        f"`{check} {_cell(file.name)}` checks it at once.\n"
    )


def _cell(text: str) -> str:
    """Return `text` so that it stays inside its cell and nothing in it is taken for Markdown or HTML."""
    flat = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]<>|])", r"\\\1", flat) if "`" in flat or "<" in flat else flat.replace("|", "\\|")
