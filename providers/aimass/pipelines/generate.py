"""All DAGs of a folder of pipeline files; in a task, only the one that the task belongs to."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from airflow.sdk import DAG, get_parsing_context

from aimass.pipelines.broken import BROKEN_TASK
from aimass.pipelines.check import check_once
from aimass.pipelines.collect import dags_of_files, yaml_folder
from aimass.pipelines.dag import pipeline_dag
from aimass.pipelines.load import PipelineError, load_pipeline, pipeline_files


def pipelines_dir(dag_file: str | Path) -> Path:
    """Return ``[aimass] pipelines_dir``, or ``include/pipelines`` beside the folder of the DAG file."""
    return yaml_folder("pipelines", dag_file)


def pipeline_dags(dag_file: str | Path, folder: str | Path | None = None) -> dict[str, DAG]:
    """Return the DAGs by id, for ``globals().update(pipeline_dags(__file__))``.

    Parameters
    ----------
    dag_file : str or Path
        The DAG file that calls.
    folder : str or Path, optional
        Where the YAML files are; see `pipelines_dir`.
    """
    context = get_parsing_context()
    # A task that is no `broken` one belongs to a pipeline that was found good: checking it again would only cost time.
    is_vetted = context.task_id not in (None, BROKEN_TASK)

    def make(file: Path, taken: Collection[str]) -> DAG | None:
        pipeline = load_pipeline(file)
        if context.dag_id not in (None, pipeline.dag_id):
            return None
        if not is_vetted:
            check_once(pipeline, file)
        if pipeline.dag_id in taken:
            text = f"another file has the name {pipeline.name!r} already; names must differ"
            raise PipelineError(file, [("name", text)])
        return pipeline_dag(pipeline, file)

    return dags_of_files(pipeline_files(Path(folder) if folder else pipelines_dir(dag_file)), make)
