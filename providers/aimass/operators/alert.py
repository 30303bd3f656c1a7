"""The operator that judges a window by the rules of a watch file, and orders what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aimass.core.errors import AimassError
from aimass.core.settings import parse_settings
from aimass.hooks.options import failpoints
from aimass.hooks.serving import endpoints_of
from aimass.notifications.alerts import alert_notice
from aimass.notifications.telling import tell
from aimass.operators.engine import EngineOperator
from aimass.operators.failures import translated_failures
from aimass.operators.skipping import end_and_skip

if TYPE_CHECKING:
    from airflow.sdk import Context

    from aimass.core.deps import Deps
    from aimass.core.endpoints.status import ServerStatus
    from aimass.core.monitoring.events import AlertEntry
    from aimass.core.monitoring.judgement import Order
    from aimass.core.monitoring.observations import Observation
    from aimass.core.monitoring.rules import Watch


class AlertOperator(EngineOperator):
    """Judge a window by rules, log every event, tell people, and hand on what is to be done.

    A window is judged once: another attempt finds the judgement in the log and orders the same again, under the same
    names. Directly downstream tasks that are called after an action (``rollback``, ``retire``, ``retrain``) run where
    it is ordered, and are skipped where it is not.

    Parameters
    ----------
    watch : mapping
        What a watch file says.
    window : mapping
        What `MonitorOperator` returned. Templated.
    **kwargs
        See `EngineOperator`; the project is the model's.

    Returns
    -------
    dict
        ``events``, ``orders`` and ``readings`` of the window, as the log has them. Each order is pushed under its
        action's name, too: ``{"run_id": …, "conf": …}`` of the DAG run that carries it out.
    """

    template_fields: Sequence[str] = (*EngineOperator.template_fields, "window")
    ui_color = "#f8ebe0"

    def __init__(self, *, watch: Mapping[str, Any], window: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.watch = watch
        self.window = window

    def execute(self, context: Context) -> Any:
        """Judge, tell, and hand on."""
        with translated_failures(), self.told_failure(context):
            watch, entry = self._judge(context)
        if entry is None:
            self.log.info("The window is older than the newest judged one: nothing follows from it.")
            return self._hand_on({}, {"events": [], "orders": [], "readings": []}, context)
        found = entry.judgement.model_dump(mode="json", include={"events", "orders", "readings"})
        for reading in entry.judgement.readings:
            self.log.info("%s: %s is %s: %s", reading.rule, reading.metric, reading.value, reading.verdict)
        self._tell(watch, entry, context)
        orders: dict[str, Any] = {order.action: order_document(order, watch, entry) for order in entry.judgement.orders}
        return self._hand_on(orders, found, context)

    def _judge(self, context: Context) -> tuple[Watch, AlertEntry | None]:
        from aimass.core.deps import Deps
        from aimass.core.monitoring.events import AlertLog
        from aimass.core.monitoring.rules import Watch

        watch = parse_settings(Watch, self.watch, where="the watch file")
        deps = Deps.from_runtime(self.runtime(context), failpoints=failpoints()).with_purpose("alert")
        entry = AlertLog(deps, self.project, watch.model).judge(watch, self._observe(watch, deps))
        deps.failpoints.hit("after_judge")
        return watch, entry

    def _observe(self, watch: Watch, deps: Deps) -> Observation:
        from aimass.core.monitoring.observations import observe
        from aimass.core.monitoring.result import MonitorResult
        from aimass.core.monitoring.samples import read_samples

        result = MonitorResult.model_validate(self.window)
        samples = read_samples(deps.store, self.project, watch.model, since=result.start, until=result.end)
        return observe(result, samples, self._statuses(watch.endpoints), min_rows=watch.min_rows)

    def _statuses(self, conn_ids: Sequence[str]) -> dict[str, ServerStatus | None]:
        """Return what each server says of itself; None where it is not ready, or says nothing."""
        found: dict[str, ServerStatus | None] = {}
        for name, server in endpoints_of(conn_ids).items():
            try:
                found[name] = server.status() if server.is_ready() else None
            except AimassError as error:
                self.log.warning("%s", error)
                found[name] = None
        return found

    def _tell(self, watch: Watch, entry: AlertEntry, context: Context) -> None:
        told = entry.judgement.notice
        for line in told.lines if told is not None else ():
            self.log.warning("%s", line)
        if told is None or not watch.notify:
            return
        # The run that judged it first tells of it: told again, it is the same message.
        dag_id, _, run_id = entry.run_id.partition("/")
        notice = alert_notice(
            told, entry.judgement.events, model=watch.model, dag_id=dag_id, run_id=run_id, now=entry.at
        )
        tell(notice, watch.notify, store_conn_id=self.store_conn_id, log=self.log)

    def _hand_on(self, orders: Mapping[str, Any], result: Any, context: Context) -> Any:
        """Push each order for the task of its action; skip the tasks whose action is not ordered."""
        for action, document in orders.items():
            context["ti"].xcom_push(key=action, value=document)
        idle = self.downstream_task_ids - orders.keys()
        if idle:
            end_and_skip(context, result, idle)
        return result


def order_document(order: Order, watch: Watch, entry: AlertEntry) -> dict[str, Any]:
    """Return the DAG run that carries out `order`: its id, the same however often it is asked for, and its conf."""
    shared = {"model": order.model, "why": order.why, "endpoint": ",".join(watch.endpoints)}
    confs = {
        "rollback": {**shared, "alias": order.alias, "leave": order.version, "evidence": order.evidence},
        # The rule judges a version by its alias: without force, that very alias would forbid what the rule asks for.
        "retire": {**shared, "version": order.version, "force": True},
        "retrain": {**shared, "alias": order.alias, "pipeline": watch.pipeline},
    }
    # Every log has one entry of that number: an incident of another project's model has another one.
    return {"run_id": f"{order.key}-{order.model}-{entry.index}", "conf": confs[order.action]}
