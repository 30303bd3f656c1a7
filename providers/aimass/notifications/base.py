"""What a notice and a channel are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from aimass.core import settings
from aimass.core.texts import Text

Kind = Literal["success", "failure", "refusal", "approval", "alert"]
KINDS: tuple[Kind, ...] = ("success", "failure", "refusal", "approval", "alert")


class Notice(BaseModel):
    """What is told; the variables of the templates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = Field(
        description="success, failure, refusal (by the gate), approval (an answer is wanted) or alert (of a rule)."
    )
    dag_id: str = Field(description="The DAG.")
    pipeline: str = Field(description="The pipeline's name, or an alert's model; the DAG's id elsewhere.")
    run_id: str = Field(description="The run.")
    when: str = Field(description="When it was noticed (ISO 8601, UTC).")
    tasks: list[str] = Field(default=[], description="The tasks that failed, or the one that asks.")
    error: str = Field(default="", description="Class of the error, such as TargetError.")
    message: str = Field(default="", description="What happened, in a sentence.")
    lines: list[Text] = Field(default=[], description="Facts, one by one: metrics, the version; strings in templates.")
    level: int = Field(default=0, description="How serious an alert is, from 1 to 4; 0 for any other notice.")
    page: bool = Field(default=False, description="Whether somebody is to be woken up: it is never held back.")
    run_url: str = Field(default="", description="The run's page.")
    report_url: str = Field(default="", description="The report that says more.")
    approval_url: str = Field(default="", description="Where the question is answered.")
    held_back: int = Field(default=0, description="Messages like this that were held back before it.")
    held_back_since: str = Field(default="", description="Since when.")


@dataclass(frozen=True)
class Message:
    """A notice put into words.

    Attributes
    ----------
    kind : Kind
        What it is about.
    subject : str
        One line of plain text.
    text, html : str
        The same body twice.
    """

    kind: Kind
    subject: str
    text: str
    html: str


class Channel(Protocol):
    """A way to people. Constructed as ``Channel(settings)``; reads its connection when it sends."""

    Settings: ClassVar[type[settings.Settings]]

    def __init__(self, settings: Any) -> None: ...

    def send(self, message: Message) -> None:
        """Send `message`; any exception means that it was not sent, and holds no secret."""
