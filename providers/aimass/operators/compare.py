"""The operators before a promotion: compare challenger and champion, and ask a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aimass.operators.approve import ApproveOperator
from aimass.operators.promote import PromoteRequest
from aimass.operators.request import RequestOperator
from aimass.operators.skipping import end_and_skip

if TYPE_CHECKING:
    from airflow.sdk import Context


class CompareRequest(PromoteRequest):
    """Compare the challenger with the version in use."""

    decide: Literal["gate", "person", "later"] = Field(
        default="gate",
        title="Who decides",
        description="gate: it is promoted where it is good enough; person: somebody is asked first; later: it "
        "stays the challenger.",
        json_schema_extra={"section": "Gate"},
    )
    language: Literal["en", "zh"] = Field(
        default="en",
        title="Language",
        description="Language of the question.",
        json_schema_extra={"section": "Gate"},
    )


class CompareOperator(RequestOperator[CompareRequest]):
    """Compare the challenger with the version in use; where it is not to be promoted, what follows is skipped.

    Parameters
    ----------
    **kwargs
        See `RequestOperator`; the request is a `CompareRequest`.

    Returns
    -------
    dict
        ``promote`` and ``why``, ``version`` and ``champion``, their ``metrics``, the ``gate``'s lines, and the
        question: ``ask``, ``subject`` and ``body``.
    """

    Request = CompareRequest

    def execute(self, context: Context) -> Any:
        """Compare, and skip what follows where nothing is to be promoted."""
        result = super().execute(context)
        self.log.info("%s", result["why"])
        if not result["promote"]:
            end_and_skip(context, result, self.get_flat_relative_ids(upstream=False))
        return result

    def act(self, request: CompareRequest, context: Context) -> dict[str, Any]:
        """Compare both versions."""
        from aimass.core.release.challenge import challenge
        from aimass.core.release.gate import GateSettings
        from aimass.core.texts import speaking

        deps = self.deps(request, context)
        gate = GateSettings(metric=request.metric, max_drop=request.max_drop)
        with speaking(request.language):
            found = challenge(self.open_registry(deps), request.model, gate, alias=request.alias)
            subject, body = found.subject(), found.body()
        why = "it is good enough" if found.passes else "the gate refuses it: it stays the challenger"
        if request.decide == "later":
            why = "it stays the challenger until somebody promotes it"
        return {
            "promote": found.passes and request.decide != "later",
            "why": f"version {found.challenger.version} of {request.model}: {why}",
            "version": found.challenger.version,
            "champion": found.champion.version if found.champion else None,
            "metrics": {one.name: [one.challenger, one.champion] for one in found.metrics},
            "gate": found.gate,
            "ask": request.decide == "person",
            "subject": subject,
            "body": body,
        }


class ApprovePromotionOperator(ApproveOperator):
    """Show challenger and champion, and wait until a person approves or rejects the promotion.

    Parameters
    ----------
    question : mapping
        What `CompareOperator` returned. Templated.
    **kwargs
        See `ApproveOperator`; nobody is asked where the question says so.
    """

    template_fields: Sequence[str] = (*ApproveOperator.template_fields, "question")

    def __init__(self, *, question: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.question = question

    def _prepare(self, context: Context) -> str:
        """Take over the question; return why nobody needs to be asked, or nothing."""
        question: Mapping[str, Any] = self.question
        if not question["ask"]:
            return "the gate decides"
        self.subject, self.body = question["subject"], question["body"]
        self.log.info("%s\n%s", self.subject, self.body)
        return ""
