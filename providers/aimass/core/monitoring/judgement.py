"""What came of a window: where the rules stand, what happened, what is to be done, and what people are told."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from aimass.core import settings
from aimass.core.monitoring.rules import Action
from aimass.core.texts import Text

Verdict = Literal["bad", "good", "between", "no_data"]
Standing = Literal["ok", "firing", "no_data"]
EventKind = Literal["fired", "cleared", "no_data", "data_back", "superseded", "withdrawn"]


class WindowVerdict(settings.Settings):
    """What a rule said of a window."""

    start: datetime = Field(description="Start of the window (UTC).")
    verdict: Verdict = Field(description="bad, good, between the thresholds, or no_data.")


class RuleState(settings.Settings):
    """Where a rule stands after a window."""

    incident: str = Field(default="", description="Name of the open incident; empty where there is none.")
    level: int = Field(default=0, description="Its level.")
    recent: list[WindowVerdict] = Field(default=[], description="The newest windows, at most n (or 2), oldest first.")
    good: int = Field(default=0, description="Good windows one after the other, up to now.")
    blind: int = Field(default=0, description="Windows without data, or not judged, one after the other, up to now.")
    told_blind: bool = Field(default=False, description="Whether it was told that there is no data.")

    @property
    def standing(self) -> Standing:
        """Whether the rule is ok, firing, or without data."""
        if self.told_blind:
            return "no_data"
        return "firing" if self.incident else "ok"


class WatchState(settings.Settings):
    """Where all rules of a watch file stand after a window."""

    last: datetime | None = Field(default=None, description="Start of the newest window that was judged (UTC).")
    version: str | None = Field(default=None, description="The version that was judged last.")
    rules: dict[str, RuleState] = Field(default={}, description="The rules by name.")
    acted: dict[str, datetime] = Field(default={}, description="When each action was ordered last (UTC).")


class Reading(settings.Settings):
    """What a rule saw in the window."""

    rule: str = Field(description="Name of the rule.")
    metric: str = Field(description="What it looks at.")
    value: float | None = Field(description="What it saw; none without data.")
    verdict: Verdict = Field(description="bad, good, between the thresholds, or no_data.")
    standing: Standing = Field(description="Where the rule stands after it.")


class Event(settings.Settings):
    """Something that people may want to know."""

    rule: str = Field(description="Name of the rule.")
    kind: EventKind = Field(
        description="fired, cleared, no_data, data_back, superseded (another version answers) or withdrawn (the rule)."
    )
    level: int = Field(description="1 information, 2 warning, 3 serious, 4 critical.")
    start: datetime = Field(description="Start of the window (UTC).")
    version: str | None = Field(description="The version that was judged.")
    value: float | None = Field(default=None, description="What was seen; none without data.")
    incident: str = Field(default="", description="The incident that it belongs to.")
    action: Action = Field(default="notify", description="What the rule asks for; of a fired one only.")
    held_back: Text | None = Field(default=None, description="Why the action is not taken; none where it is.")
    told: bool = Field(default=True, description="Whether people are told.")
    said: Text = Field(description="What happened, in one sentence.")


class Order(settings.Settings):
    """An action to take; several rules that ask for the same one give one order."""

    action: Action = Field(description="retrain, rollback or retire.")
    key: str = Field(description="Names the order: whoever carries it out twice under this name does it once.")
    model: str = Field(description="Name of the registered model.")
    alias: str = Field(description="The alias that is watched.")
    version: str = Field(description="The version that was found bad.")
    level: int = Field(description="The highest level of its rules.")
    rules: list[str] = Field(description="The rules that ask for it.")
    incidents: list[str] = Field(description="Their incidents.")
    why: str = Field(description="Why, in English, for ledgers.")
    evidence: str = Field(default="", description="URI of the monitor's output.")


class AlertNotice(settings.Settings):
    """What people are told about a window: one notice, however many rules spoke."""

    level: int = Field(description="The highest level.")
    page: bool = Field(description="Whether somebody is to be woken up.")
    lines: list[Text] = Field(description="The events, the most serious ones first.")


class Judgement(settings.Settings):
    """What came of a window."""

    state: WatchState = Field(description="Where the rules stand now.")
    readings: list[Reading] = Field(default=[], description="What each rule saw.")
    events: list[Event] = Field(default=[], description="What happened.")
    orders: list[Order] = Field(default=[], description="What is to be done.")
    notice: AlertNotice | None = Field(default=None, description="What people are told; none where nothing happened.")
