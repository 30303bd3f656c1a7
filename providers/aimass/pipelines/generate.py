"""All DAGs of a folder of pipeline files; in a task, only the one that the task belongs to."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import DAG, get_parsing_context

from aimass.core.errors import AimassError
from aimass.hooks.options import option
from aimass.pipelines.broken import BROKEN_TASK, broken_dag
from aimass.pipelines.check import check_once
from aimass.pipelines.dag import pipeline_dag
from aimass.pipelines.load import PipelineError, as_pipeline_error, load_pipeline, pipeline_files
from aimass.pipelines.model import Pipeline


def pipelines_dir(dag_file: str | Path) -> Path:
    """Return ``[aimass] pipelines_dir``, or ``include/pipelines`` beside the folder of the DAG file."""
    chosen = option("pipelines_dir")
    return Path(chosen).expanduser() if chosen else Path(dag_file).resolve().parent.parent / "include" / "pipelines"


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
    dags: dict[str, DAG] = {}
    faults: list[PipelineError] = []
    for file in pipeline_files(Path(folder) if folder else pipelines_dir(dag_file)):
        try:
            pipeline = load_pipeline(file)
            if context.dag_id not in (None, pipeline.dag_id):
                continue
            if not is_vetted:
                check_once(pipeline, file)
            _refuse_twin(pipeline, file, dags)
            dags[pipeline.dag_id] = pipeline_dag(pipeline, file)
        except AimassError as error:
            faults.append(as_pipeline_error(file, error))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file must not harm the others
            faults.append(PipelineError(file, [("", f"cannot become a DAG: {type(error).__name__}: {error}")]))
    for fault in faults:
        dag = broken_dag(fault.file, fault, taken=set(dags))
        dags[dag.dag_id] = dag
    return dags


def _refuse_twin(pipeline: Pipeline, file: Path, dags: dict[str, DAG]) -> None:
    if pipeline.dag_id in dags:
        text = f"another file has the name {pipeline.name!r} already; names must differ"
        raise PipelineError(file, [("name", text)])
