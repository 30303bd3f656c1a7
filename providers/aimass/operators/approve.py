"""The operator that asks a person before a release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import BaseXCom, Param
from airflow.sdk.definitions.param import ParamsDict

from aimass.core.errors import NotAllowedError
from aimass.links.pages import report_url
from aimass.operators.failures import translated_failures
from aimass.operators.stage import StageOperator

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.execution_time.hitl import HITLUser

    from aimass.core.deps import Deps
    from aimass.core.stages.release import ReleaseConfig

NOTE = "note"
NOTE_CHARACTERS = 300


class ApproveOperator(StageOperator, ApprovalOperator):
    """Show champion against challenger and wait until a person approves or rejects the release.

    Nobody is asked where the release would change nothing: an unchanged run whose version stands already.

    Parameters
    ----------
    when : bool or str
        Whether to ask at all; false, no, 0 and nothing pass by themselves. Templated: ``"{{ params.approval }}"``.
    assigned_users : sequence of str or mapping
        Who may answer, as the auth manager's user ids, or ``{"id", "name"}``; everybody who may trigger when empty.
    timeout_hours : float, optional
        How long to wait; for ever when empty.
    on_timeout : str
        What silence means: ``reject`` skips the release, ``fail`` fails the run.
    language : str
        Of the question: ``en`` or ``zh``.
    **kwargs
        See `StageOperator`; `config` is that of `ReleaseOperator`. `notifiers` are told when an answer is wanted.

    Returns
    -------
    dict
        ``approved``, ``asked``, ``who``, ``note`` and ``reason``, which goes into the ledger.
    """

    stage = "release"
    template_fields: Sequence[str] = (*StageOperator.template_fields, "subject", "body", "when", "language")
    ui_color = "#fdf3d8"

    def __init__(
        self,
        *,
        when: bool | str = True,
        assigned_users: Sequence[str | HITLUser] = (),
        timeout_hours: float | None = 72,
        on_timeout: Literal["reject", "fail"] = "reject",
        language: str = "en",
        **kwargs: Any,
    ) -> None:
        users = [{"id": one, "name": one} if isinstance(one, str) else one for one in assigned_users]
        note = Param("", type=["null", "string"], maxLength=NOTE_CHARACTERS, title="Note", source="task")
        # Airflow has laid the DAG's parameters into the task's already; the base class sorts them out by their source.
        params = ParamsDict(kwargs.pop("params", None))
        params.update(ParamsDict({NOTE: note}))
        super().__init__(
            # Both are written when the task runs: they tell what only a run knows.
            subject="Release this model?",
            params=params,
            assigned_users=users or None,
            response_timeout=timedelta(hours=timeout_hours) if timeout_hours is not None else None,
            defaults=ApprovalOperator.REJECT if on_timeout == "reject" else None,
            **kwargs,
        )
        self.when = when
        self.timeout_hours = timeout_hours
        self.on_timeout = on_timeout
        self.language = language
        # An answer is no data.
        self.outlets = []

    def execute(self, context: Context) -> Any:
        """Ask, unless there is nothing to ask; `execute_complete` gets the answer."""
        if str(self.when).strip().lower() in ("", "0", "false", "no", "none"):
            return self._passed("no approval was asked for")
        with translated_failures():
            reason = self._prepare(context)
        if reason:
            return self._passed(reason)
        return ApprovalOperator.execute(self, context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Return the answer; what comes after a rejection is skipped."""
        if "error" in event:
            with translated_failures(), self.told_failure(context):
                raise self._no_answer(event)
        answer = self._answer(event)
        if not answer["approved"]:
            self.log.info("%s. The release is skipped; the run goes on without it.", answer["reason"])
            # Airflow ends a task that skips others by an exception: what it returns would be lost.
            context["ti"].xcom_push(key=BaseXCom.XCOM_RETURN_KEY, value=answer)
        super().execute_complete(context, event)
        self.log.info("%s", answer["reason"])
        return answer

    def _answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        approved = event["chosen_options"] == [self.APPROVE]
        user = event.get("responded_by_user")
        who = str(user["name"] or user["id"]) if user else ""
        note = " ".join(str((event["params_input"] or {}).get(NOTE) or "").split())[:NOTE_CHARACTERS]
        by = f" by {who}" if who else ": nobody answered in time"
        reason = f"{'approved' if approved else 'rejected'}{by}" + (f": {note}" if note else "")
        return {"approved": approved, "asked": True, "who": who, "note": note, "reason": reason}

    def _no_answer(self, event: Mapping[str, Any]) -> NotAllowedError:
        if event["error_type"] == "timeout":
            what = f"Nobody answered within {self.timeout_hours:g} hours, and on_timeout is 'fail'"
        else:
            what = f"The answer could not be taken: {event['error']}"
        return NotAllowedError(what, hint="Clear this task to ask again")

    def _prepare(self, context: Context) -> str:
        """Write subject and body; return why nobody needs to be asked, or nothing."""
        from aimass.core.deps import Deps
        from aimass.core.stages.release import STAGE

        document = self.stage_config(context)
        deps = Deps.from_runtime(self.runtime(context)).with_purpose("approve")
        config = STAGE.parse(document)
        standing = STAGE.standing(config, deps)
        if standing is not None:
            stands = f"version {standing.version} stands" if standing.version else "the refusal stands"
            return f"nothing would change: {stands} already under {standing.alias}"
        self._ask(config, deps, context)
        return ""

    def _ask(self, config: ReleaseConfig, deps: Deps, context: Context) -> None:
        from aimass.core.release.comparison import compare
        from aimass.core.release.pieces import Addresses
        from aimass.core.release.question import body, subject
        from aimass.core.texts import speaking

        with speaking(self.language):
            self.comparison_ = found = compare(
                Addresses(config.model, config.features, config.raw, config.evaluation),
                deps,
                name=config.name,
                alias=config.alias,
                gate=config.gate,
                registry=config.registry,
            )
            self.subject, self.body = subject(found), body(found, self._links(context))
        self.log.info("%s\n%s", self.subject, self.body)

    def _links(self, context: Context) -> dict[str, str]:
        """Return the addresses of the reports that this DAG's tasks write."""
        from aimass.core.release.question import REPORTS

        run = context["dag_run"]
        known = set(context["dag"].task_ids)
        return {
            str(label): report_url(run.dag_id, run.run_id, task) for task, label in REPORTS.items() if task in known
        }

    def _passed(self, reason: str) -> dict[str, Any]:
        self.log.info("Nobody is asked: %s.", reason)
        return {"approved": True, "asked": False, "who": "", "note": "", "reason": reason}
