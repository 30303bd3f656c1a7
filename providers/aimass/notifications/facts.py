"""What a run has to tell, read from the context that Airflow gives to a notifier.

There are three kinds of context. A task's callback and an operator's notifier run in the task's process: the context
has the task and, after a failure, its exception. A DAG's callback runs in the DAG processor: the context has the run,
and what became of the tasks is asked from Airflow. A deadline's callback runs in the triggerer: the run is a document.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from aimass.core.texts import Text, say
from aimass.links.airflow_pages import airflow_run_url, approval_url
from aimass.links.pages import report_url
from aimass.notifications.base import Kind, Notice
from aimass.operators.failures import FAILURE_KEY

if TYPE_CHECKING:
    from aimass.core.release.comparison import Comparison

_log = logging.getLogger(__name__)

REFUSAL = "GateRefusedError"
DAG_PREFIX = "aimass_"
MAX_MESSAGE = 1_500
MAX_TASKS = 10


class Run(Protocol):
    """What Airflow answers about a run; whatever it does not know is None or empty."""

    def failed(self) -> list[tuple[str, int | None]]:
        """Return the tasks that failed, and which one of a mapped task."""

    def value(self, task_id: str, key: str = "return_value", map_index: int | None = None) -> Any:
        """Return what a task has left under `key`, or None."""


def identify(context: Mapping[str, Any]) -> tuple[str, str]:
    """Return the DAG's id and the run's id."""
    run = context.get("dag_run")
    if isinstance(run, Mapping):
        return str(run.get("dag_id")), str(run.get("dag_run_id") or run.get("run_id"))
    if run is not None:
        return str(run.dag_id), str(run.run_id)
    return str(context["dag"].dag_id), str(context["run_id"])


def notice_of(context: Mapping[str, Any], kind: Kind, run: Run, *, now: datetime | None = None) -> Notice:
    """Return the notice of `kind` about the run that `context` is about.

    A failure that is a refusal of the gate, and nothing else, becomes a notice of the kind ``refusal``.
    """
    dag_id, run_id = identify(context)
    notice = Notice(
        kind=kind,
        dag_id=dag_id,
        pipeline=dag_id.removeprefix(DAG_PREFIX),
        run_id=run_id,
        when=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
        run_url=airflow_run_url(dag_id, run_id),
    )
    if kind == "approval":
        return notice.model_copy(update=_question(context, notice))
    if kind == "success":
        return notice.model_copy(update=_success(run, notice))
    return notice.model_copy(update=_failure(context, run, notice))


def _question(context: Mapping[str, Any], notice: Notice) -> dict[str, Any]:
    task = context["task"]
    comparison = getattr(task, "comparison_", None)
    lines = [_prospect(comparison)] if comparison is not None else []
    for row in comparison.metrics if comparison is not None else []:
        pair = {"name": row.name, "challenger": row.challenger}
        if row.champion is None:
            lines.append(say("{name}: {challenger:.4g}", **pair))
        else:
            lines.append(say("{name}: {challenger:.4g} against {champion:.4g}", **pair, champion=row.champion))
    return {
        "tasks": [task.task_id],
        "message": "" if lines else str(getattr(task, "subject", "")),
        "lines": lines,
        "approval_url": approval_url(notice.dag_id, notice.run_id, task.task_id),
        "report_url": _report(context, notice, "evaluate_best"),
    }


def _prospect(comparison: Comparison) -> Text:
    who = {"name": comparison.name, "alias": comparison.alias}
    if comparison.passes:
        return say("{name} would stand under {alias}; the gate would let it through", **who)
    return say("{name} would stand under {alias}, but the gate would refuse it", **who)


def _success(run: Run, notice: Notice) -> dict[str, Any]:
    if (told := _in_use(run)) is not None:
        return {"lines": told, **_evidence(run, notice)}
    released = run.value("release")
    answer = run.value("approve") or {}
    lines: list[Text] = []
    if answer.get("asked") and answer.get("reason"):
        lines.append(say("Approval: {reason}", reason=str(answer["reason"])))
    if not isinstance(released, Mapping):
        if answer and not answer.get("approved"):
            lines.insert(0, say("Nothing was released."))
        return {"lines": lines}
    known = {name: str(released.get(name)) for name in ("name", "version", "alias")}
    unchanged = say("{name} version {version} stands under {alias} as before", **known)
    moved = say("{name} version {version} stands under {alias} now", **known)
    lines.insert(0, unchanged if released.get("reused") else moved)
    if line := released.get("certificate_line"):
        lines.append(say("{text}", text=str(line)))
    metrics: Mapping[str, float] = released.get("metrics") or {}
    lines += [say("{name}: {value:.4g}", name=name, value=value) for name, value in metrics.items()]
    return {"lines": lines, "report_url": report_url(notice.dag_id, notice.run_id, "release")}


def _in_use(run: Run) -> list[Text] | None:
    """Return what a run did to a model in use; None where it is of another kind."""
    if isinstance(back := run.value("evidence"), Mapping):
        servers = ", ".join(back["serving"])
        return [
            say("{alias} of {model} went back from version {left} to version {target}", **_named(back, _BACK)),
            say("Why: {why}", why=str(back["why"])),
            say("Servers that answer with it: {servers}", servers=servers or "–"),
        ]
    if isinstance(moved := run.value("promote"), Mapping):
        return [say("{alias} of {model} is version {version} now", **_named(moved, ("alias", "model", "version")))]
    if isinstance(compared := run.value("compare"), Mapping):
        return [say("Nothing was promoted: {why}", why=str(compared["why"]))]
    if isinstance(used := run.value("deprecate"), Mapping):
        retired = used.get("deprecate", used)
        return [
            say("Version {version} of {model} is out of use", **_named(retired, ("model", "version"))),
            *_usage(retired),
        ]
    return None


def _usage(document: Mapping[str, Any]) -> list[Text]:
    """Return who used a version when its retirement began."""
    from aimass.core.release.retirement import Usage

    try:
        return Usage.model_validate(document).lines()
    except ValidationError:
        # Left by another version of ours: a short notice is better than none.
        return []


_BACK = ("alias", "model", "left", "target")


def _named(result: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    return {name: str(result.get(name)) for name in names}


def _evidence(run: Run, notice: Notice) -> dict[str, str]:
    """Return the address of a rollback's report, where there is one."""
    is_there = isinstance(run.value("evidence"), Mapping)
    return {"report_url": report_url(notice.dag_id, notice.run_id, "evidence")} if is_there else {}


def _failure(context: Mapping[str, Any], run: Run, notice: Notice) -> dict[str, Any]:
    tasks = list(_failed_tasks(context, run))[:MAX_TASKS]
    told = [(task_id, _told(context, run, task_id, index)) for task_id, index in tasks]
    names = list(dict.fromkeys(task_id for task_id, _ in tasks))
    if not told:
        reason = str(context.get("reason") or ("deadline" if "deadline" in context else ""))
        return {"tasks": names, "error": reason, "message": reason.replace("_", " ")}
    errors = [document.get("error", "") for _, document in told]
    messages = [document["message"] for _, document in told if document.get("message")]
    with_report = next((task_id for task_id, document in told if document.get("report")), "")
    return {
        "kind": "refusal" if set(errors) == {REFUSAL} else notice.kind,
        "tasks": names,
        "error": next(filter(None, errors), ""),
        # Tasks that are mapped over many inputs mostly fail for one reason.
        "message": "\n".join(dict.fromkeys(messages))[:MAX_MESSAGE],
        "report_url": _report(context, notice, with_report) if with_report else "",
    }


def _failed_tasks(context: Mapping[str, Any], run: Run) -> Iterable[tuple[str, int | None]]:
    task_instance = context.get("ti")
    own = [(task_instance.task_id, task_instance.map_index)] if task_instance is not None else []
    # A task's own callback speaks for that task; a DAG's for all of them.
    return own if "exception" in context else run.failed() or own


def _told(context: Mapping[str, Any], run: Run, task_id: str, map_index: int | None) -> dict[str, str]:
    """Return what a failed task has told of its error: in its XCom, or by its exception."""
    document = run.value(task_id, FAILURE_KEY, map_index)
    if isinstance(document, Mapping):
        return {name: str(value) for name, value in document.items()}
    error = context.get("exception")
    return {"error": type(error).__name__, "message": str(error)} if isinstance(error, BaseException) else {}


def _report(context: Mapping[str, Any], notice: Notice, task_id: str) -> str:
    dag = context.get("dag")
    known = set(getattr(dag, "task_ids", ()))
    return report_url(notice.dag_id, notice.run_id, task_id) if task_id in known else ""


class AirflowRun:
    """Asks Airflow about a run; where the SDK cannot reach it, nothing is known, and the notice is short.

    Parameters
    ----------
    dag_id, run_id : str
        The run.
    task_ids : sequence of str
        The DAG's tasks; a mapped one's states come with its index behind the name.
    """

    def __init__(self, dag_id: str, run_id: str, task_ids: Iterable[str]) -> None:
        self._dag_id = dag_id
        self._run_id = run_id
        self._task_ids = set(task_ids)

    def failed(self) -> list[tuple[str, int | None]]:
        """Return the tasks that failed."""
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        states = _asked(lambda: RuntimeTaskInstance.get_task_states(dag_id=self._dag_id, run_ids=[self._run_id]))
        return list(self._of((states or {}).get(self._run_id) or {}))

    def _of(self, states: Mapping[str, Any]) -> Iterator[tuple[str, int | None]]:
        for name, state in states.items():
            if str(getattr(state, "value", state)) == "failed":
                head, _, index = name.rpartition("_")
                is_mapped = name not in self._task_ids and head in self._task_ids and index.isdigit()
                yield (head, int(index)) if is_mapped else (name, None)

    def value(self, task_id: str, key: str = "return_value", map_index: int | None = None) -> Any:
        """Return what a task has left under `key`, or None."""
        from airflow.sdk.execution_time.xcom import XCom

        where: dict[str, Any] = {"dag_id": self._dag_id, "run_id": self._run_id, "task_id": task_id}
        return _asked(lambda: XCom.get_one(key=key, map_index=map_index, **where))


def _asked(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except Exception as error:  # noqa: BLE001 - a short notice is better than none
        _log.info("Airflow did not say what became of the run: %s: %s", type(error).__name__, error)
        return None
