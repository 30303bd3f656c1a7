"""The operator that goes back to a version that was good: choose, verify, move, confirm, evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aimass.core.settings import Location
from aimass.links.report import ReportLink
from aimass.operators.failures import StageRetryError, translated_failures
from aimass.operators.request import Alias, RequestOperator, ServedModelRequest
from aimass.operators.skipping import end_and_skip
from aimass.operators.waiting import defer_until, outcome
from aimass.triggers.condition import DEFAULT_POLL_S
from aimass.triggers.served import Served

if TYPE_CHECKING:
    from airflow.sdk import Context

    from aimass.core.deps import Deps
    from aimass.core.endpoints.base import Endpoint
    from aimass.core.release.rollback import Plan

Step = Literal["choose", "verify", "move", "confirm", "evidence"]
STEPS: tuple[Step, ...] = ("choose", "verify", "move", "confirm", "evidence")


class RollbackForm(ServedModelRequest):
    """Have an alias go back to a version that was good."""

    alias: Alias = Field(
        default="champion",
        title="Alias",
        description="The alias that goes back.",
        json_schema_extra={"section": "Model"},
    )
    to: str = Field(
        default="last_good",
        min_length=1,
        title="Back to",
        description="A version's number; last_good, the newest one that the alias pointed at before and that nobody "
        "found fault with; or previous.",
        json_schema_extra={"section": "Model"},
    )
    leave: str | None = Field(
        default=None,
        title="Bad version",
        description="Only if the alias still points at this version; at whichever when empty.",
        json_schema_extra={"section": "Model"},
    )
    why: str = Field(
        min_length=1,
        max_length=500,
        title="Why",
        description="The reason, for the ledger and for people.",
        json_schema_extra={"section": "Model"},
    )
    evidence: Location = Field(
        default="",
        title="Evidence",
        description="Address of the monitor's output that shows it.",
        json_schema_extra={"section": "Model"},
    )


@dataclass(frozen=True)
class _Work:
    """What the steps work with: the request, its surroundings, and what the steps before found."""

    request: RollbackForm
    deps: Deps
    servers: Mapping[str, Endpoint]
    found: dict[str, Any]

    @property
    def plan(self) -> Plan:
        from aimass.core.release.rollback import Plan

        return Plan.model_validate(self.found["choose"])


class RollbackOperator(RequestOperator[RollbackForm]):
    """Choose a version that was good, have every server try it, move the alias, and see that all have followed.

    Each step may be repeated: a task that was killed anywhere is simply tried again.

    Parameters
    ----------
    steps : sequence of str
        Those of ``choose``, ``verify``, ``move``, ``confirm`` and ``evidence`` that this task does, in this order; all
        of them unless a DAG has a task for each.
    before : mapping of str to mapping
        What tasks before this one returned, by step. Templated.
    timeout_s, poll_s : float
        For how long `confirm` waits, in the triggerer, and how often servers are asked.
    **kwargs
        See `RequestOperator`; the request is a `RollbackForm`.

    Returns
    -------
    dict
        What the last step found, and under ``steps``, where there are several, what each of them did. Where the alias
        has left the bad version already, ``choose`` skips what follows.

    Examples
    --------
    ::

        RollbackOperator(task_id="back", request={"model": "flights_late", "why": "the labels say so"})
    """

    Request = RollbackForm
    template_fields: Sequence[str] = (*RequestOperator.template_fields, "before")
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        steps: Sequence[Step] = STEPS,
        before: Mapping[str, Any] | None = None,
        timeout_s: float = 300,
        poll_s: float = DEFAULT_POLL_S,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.steps = steps
        self.before = before or {}
        self.timeout_s = timeout_s
        self.poll_s = poll_s

    def act(self, request: RollbackForm, context: Context) -> Any:
        """Take the steps."""
        return self._take(self.steps, dict(self.before), request, context)

    def execute_complete(self, context: Context, event: Mapping[str, Any], found: dict[str, Any]) -> Any:
        """Take the steps that come after the waiting."""
        # The alias has moved and servers follow it: another attempt does nothing twice, and may find them there.
        outcome(event, late=StageRetryError)
        with translated_failures(), self.told_failure(context):
            left = self.steps[list(self.steps).index("confirm") :]
            self.result_ = result = self._take(left, found, self.read(context), context)
        return result

    def _take(self, steps: Sequence[Step], found: dict[str, Any], request: RollbackForm, context: Context) -> Any:
        work = _Work(request, self.deps(request, context), self.servers(request), found)
        for step in steps:
            found[step] = getattr(self, f"_{step}")(work, context)
            work.deps.failpoints.hit(f"after_{step}")
        last = found[self.steps[-1]]
        return last if len(self.steps) == 1 else {**last, "steps": found}

    def _choose(self, work: _Work, context: Context) -> dict[str, Any]:
        from aimass.core.manifest import load_manifest
        from aimass.core.release.rollback import RollbackRequest, choose

        if work.request.evidence:
            # Evidence that is not there is noticed before anything has changed.
            load_manifest(work.deps.store, work.request.evidence)
        request = RollbackRequest.model_validate(work.request.model_dump(exclude={"endpoint"}))
        plan = choose(request, self.open_registry(work.deps), work.deps)
        if plan is None:
            self.log.info("%s has left version %s already: nothing is to do.", request.alias, request.leave)
            end_and_skip(context, None, self.get_flat_relative_ids(upstream=False))
        self.log.info("%s of %s goes back from version %s to %s", plan.alias, plan.model, plan.leave, plan.target)
        return plan.model_dump(mode="json")

    def _verify(self, work: _Work, context: Context) -> dict[str, Any]:
        from aimass.core.release.rollback import verify

        # What was seen before the alias moved: a retry after that could not see it any more.
        name = f"verify-{work.plan.model}-{work.plan.target}"
        seen: dict[str, Any] = work.deps.pin(name, lambda: verify(work.plan, work.servers).model_dump(mode="json"))
        return seen

    def _move(self, work: _Work, context: Context) -> dict[str, Any]:
        from aimass.core.release.rollback import move

        entry = move(work.plan, self.open_registry(work.deps), work.deps)
        self.log.info("%s", entry.text())
        return entry.model_dump(mode="json")

    def _confirm(self, work: _Work, context: Context) -> dict[str, Any]:
        from aimass.core.release.rollback import confirm

        seen = confirm(work.plan, work.servers)
        if not seen.ok:
            self.log.info(
                "Waiting for the servers: %s", "; ".join(f"{name}: {why}" for name, why in seen.lacking.items())
            )
            defer_until(
                self,
                "served",
                Served(
                    serving_conn_ids=list(work.servers),
                    model=work.plan.model,
                    alias=work.plan.alias,
                    version=work.plan.target,
                ),
                timeout_s=self.timeout_s,
                poll_s=self.poll_s,
                found=work.found,
            )
        return seen.model_dump(mode="json")

    def _evidence(self, work: _Work, context: Context) -> dict[str, Any]:
        from aimass.core.stages import STAGES

        stage = STAGES.load("rollback")
        config = {
            "plan": work.found["choose"],
            "verification": work.found["verify"],
            "move": work.found["move"],
            "confirmation": work.found["confirm"],
            "seen": {"monitor": work.plan.evidence} if work.plan.evidence else {},
            "registry": dict(self.registry),
        }
        found: dict[str, Any] = stage.run(stage.parse(config), work.deps).model_dump(mode="json")
        return found
