"""From ``include/alerts/*.yaml`` to one DAG ``aimass_monitor_<model>`` for each watched model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, get_parsing_context

from aimass.core.errors import AimassError
from aimass.core.monitoring.rules import Watch
from aimass.notifications.notifier import NoticeNotifier
from aimass.operators.alert import AlertOperator
from aimass.operators.monitor import MonitorOperator
from aimass.operators.scrape import ScrapeOperator
from aimass.pipelines.check import notice_mistakes
from aimass.pipelines.collect import dags_of_files, yaml_folder
from aimass.pipelines.dag import RETRIES, RETRY_DELAY
from aimass.pipelines.load import PipelineError, key_lines, load_settings, pipeline_files
from aimass.pipelines.model import MONITOR_PREFIX
from aimass.pipelines.schedule import schedule_mistakes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

CHECK = "airflow aimass monitor check"
ACTION_DAGS = {"rollback": "aimass_rollback", "retire": "aimass_retire", "retrain": "aimass_improve"}
"""The DAG that each action of a rule starts."""


def alerts_dir(dag_file: str | Path) -> Path:
    """Return ``[aimass] alerts_dir``, or ``include/alerts`` beside the folder of the DAG file."""
    return yaml_folder("alerts", dag_file)


def monitor_dags(dag_file: str | Path, folder: str | Path | None = None) -> dict[str, DAG]:
    """Return the DAGs by id, for ``globals().update(monitor_dags(__file__))``; in a task, only the task's own.

    Parameters
    ----------
    dag_file : str or Path
        The DAG file that calls.
    folder : str or Path, optional
        Where the watch files are; see `alerts_dir`.
    """
    wanted = get_parsing_context().dag_id

    def make(file: Path, taken: Collection[str]) -> DAG | None:
        watch = load_watch(file)
        dag_id = monitor_dag_id(watch.model)
        if wanted not in (None, dag_id):
            return None
        if dag_id in taken:
            text = f"another file watches {watch.model!r} already; a model has one watch file"
            raise PipelineError(file, [("model", text)])
        return monitor_dag(watch, file)

    files = pipeline_files(Path(folder) if folder else alerts_dir(dag_file))
    return dags_of_files(files, make, prefix=MONITOR_PREFIX, check=CHECK)


def load_watch(file: Path) -> Watch:
    """Read a watch file.

    Raises
    ------
    PipelineError
        The file is not YAML, or a key is unknown, missing or has an impossible value.
    """
    watch = load_settings(file, Watch)
    mistakes = [*schedule_mistakes(watch.schedule)]
    mistakes += [mistake for index, entry in enumerate(watch.notify) for mistake in notice_mistakes(index, entry)]
    if mistakes:
        raise PipelineError(file, mistakes, key_lines(file))
    return watch


def watches(folder: Path) -> Iterator[Watch]:
    """Yield what the good watch files in `folder` say."""
    for file in pipeline_files(folder):
        try:
            yield load_watch(file)
        except AimassError:
            # Its own DAG says what is wrong with it.
            continue


def monitor_dag_id(model: str) -> str:
    """Return the id of the DAG that watches `model`."""
    return MONITOR_PREFIX + model


def monitor_dag(watch: Watch, file: Path) -> DAG:
    """Return the DAG of `watch`, which was read from `file`."""
    failed = NoticeNotifier(kind="failure", channels=watch.notify) if watch.notify else None
    with DAG(
        dag_id=monitor_dag_id(watch.model),
        description=watch.description.strip().partition("\n")[0][:300] or f"Watches {watch.model}",
        doc_md=f"{watch.description.strip()}\n\nWritten in `{file.name}`.",
        schedule=watch.schedule,
        catchup=False,
        tags=["aimass", "monitor", watch.model],
        default_args={"owner": watch.owner, "retries": RETRIES, "retry_delay": RETRY_DELAY},
        params={
            "end": Param(
                None,
                type=["null", "string"],
                format="date-time",
                title="End of the window",
                description="Judge the window that ends then; the last whole one when empty.",
            )
        },
        max_active_runs=1,
        # The run of a paused DAG waits for ever, without a word.
        is_paused_upon_creation=False,
        on_failure_callback=failed,
    ) as dag:
        _add_tasks(watch)
    return dag


def _add_tasks(watch: Watch) -> None:
    """Add the tasks: ask the servers, judge the window, follow the rules, and start what they ask for."""
    scrape = ScrapeOperator(task_id="scrape", request={"model": watch.model, "endpoint": ",".join(watch.endpoints)})
    project = watch.project or "{{ ti.xcom_pull(task_ids='scrape')['project'] }}"
    monitor = MonitorOperator(
        task_id="monitor",
        config=monitor_config(watch),
        project=project,
        window_minutes=watch.window_minutes,
        settle_s=watch.settle_s,
        end="{{ params.end or '' }}",
    )
    judge = AlertOperator(
        task_id="judge",
        watch=watch.model_dump(mode="json", exclude_unset=True),
        window=monitor.output,
        project=project,
    )
    scrape >> monitor >> judge
    for action in sorted({rule.action for rule in watch.rules} & ACTION_DAGS.keys()):
        judge >> _start(action)


def monitor_config(watch: Watch) -> dict[str, Any]:
    """Return the monitor stage's configuration, without the window."""
    return {
        "model": watch.model,
        "alias": watch.alias,
        "min_rows": watch.min_rows,
        "drift": watch.drift.model_dump(mode="json"),
        "quality": watch.quality.model_dump(mode="json"),
        "evidently": watch.evidently,
    }


def _start(action: str) -> TriggerDagRunOperator:
    """Return the task that starts the DAG of `action`: once for each incident, however often it is tried."""
    asked = f"ti.xcom_pull(task_ids='judge', key='{action}')"
    return TriggerDagRunOperator(
        task_id=action,
        trigger_dag_id=ACTION_DAGS[action],
        trigger_run_id=f"{{{{ {asked}['run_id'] }}}}",
        conf=f"{{{{ {asked}['conf'] | tojson }}}}",  # type: ignore[arg-type] # it is a template of a mapping
        skip_when_already_exists=True,
        fail_when_dag_is_paused=True,
    )
