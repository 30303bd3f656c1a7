"""From a folder of YAML files to DAGs: where the folder is, and how one wrong file harms no other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aimass.core.errors import AimassError
from aimass.hooks.options import option
from aimass.pipelines.broken import broken_dag
from aimass.pipelines.load import PipelineError, as_pipeline_error

if TYPE_CHECKING:
    from airflow.sdk import DAG


def yaml_folder(kind: str, dag_file: str | Path) -> Path:
    """Return ``[aimass] <kind>_dir``, or ``include/<kind>`` beside the folder of the DAG file."""
    chosen = option(f"{kind}_dir")
    return Path(chosen).expanduser() if chosen else Path(dag_file).resolve().parent.parent / "include" / kind


def dags_of_files(
    files: Iterable[Path], make: Callable[[Path, Collection[str]], DAG | None], **broken: Any
) -> dict[str, DAG]:
    """Return the DAGs of `files` by id.

    Parameters
    ----------
    files : iterable of Path
        The YAML files.
    make : callable
        Returns the DAG of a file, or None where it is not wanted now; is told the ids that are taken.
    **broken
        What `broken_dag` is told of files that cannot become a DAG.
    """
    dags: dict[str, DAG] = {}
    faults: list[PipelineError] = []
    for file in files:
        try:
            made = make(file, dags.keys())
            if made is not None:
                dags[made.dag_id] = made
        except AimassError as error:
            faults.append(as_pipeline_error(file, error))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file must not harm the others
            faults.append(PipelineError(file, [("", f"cannot become a DAG: {type(error).__name__}: {error}")]))
    for fault in faults:
        dag = broken_dag(fault.file, fault, taken=set(dags), **broken)
        dags[dag.dag_id] = dag
    return dags
