"""One message, not a hundred: what was sent through a channel, what is held back, and what is still to be sent.

The state of a channel is a row of small files in the store, each the whole state after one step. A step is taken by
creating the next file, which only one process can do; the others read again and decide anew. So two processes that
tell the same send one message, and a restart forgets nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from aimass.core.errors import TransientError
from aimass.core.storage import Store
from aimass.notifications.base import Notice
from aimass.notifications.delivery import DeliverySettings

FOLDER = ".notices"
"""Below the store's root; no project can be called so."""

CLAIM = timedelta(minutes=5)
"""For how long a message belongs to the process that sends it; then it may have died."""

OUTCOMES = ("success", "failure", "refusal")
"""How a run ends."""

MAX_WAITING = 20
MAX_AGE = timedelta(days=7)
KEPT_STATES = 20
MAX_STEPS = 1_000

T = TypeVar("T")


class Group(BaseModel):
    """Messages that are alike."""

    model_config = ConfigDict(extra="forbid")

    sent_at: datetime = Field(description="When one of them was sent last.")
    held_back: int = Field(default=0, description="How many were held back since.")


class Waiting(BaseModel):
    """A message that is not known to have been sent."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(description="Its number in this channel.")
    notice: Notice = Field(description="What it tells.")
    since: datetime = Field(description="Since when it waits.")
    claimed_until: datetime = Field(description="Until when a process is about to send it.")


class State(BaseModel):
    """A channel's state."""

    model_config = ConfigDict(extra="forbid")

    groups: dict[str, Group] = Field(default_factory=dict, description="By what makes messages alike.")
    outcomes: dict[str, str] = Field(default_factory=dict, description="How a DAG's last run ended, by DAG.")
    waiting: list[Waiting] = Field(default_factory=list, description="Messages to send.")
    numbered: int = Field(default=0, description="How many messages there were.")


class Outbox:
    """The messages of one channel.

    Parameters
    ----------
    store : Store
        Keeps the state.
    identity : str
        Names the channel; letters, digits and dashes.
    settings : DeliverySettings
        How often alike messages are sent, and which are alike.
    clock : callable
        Returns the current time in UTC.
    """

    def __init__(self, store: Store, identity: str, settings: DeliverySettings, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._folder = store.folder(FOLDER, identity)
        self._settings = settings
        self._clock = clock

    def put(self, notice: Notice) -> list[Waiting]:
        """Take note of `notice`; return what this process is to send now: it, unless it is held back, and old ones."""

        def step(state: State) -> list[Waiting]:
            now = self._clock()
            self._forget_old(state, now)
            if (held_back := self._admit(state, notice, now)) is not None:
                state.numbered += 1
                told = notice.model_copy(update=held_back)
                state.waiting.append(Waiting(number=state.numbered, notice=told, since=now, claimed_until=now))
            due = [one for one in state.waiting if one.claimed_until <= now]
            for one in due:
                one.claimed_until = now + CLAIM
            return [one.model_copy() for one in due]

        return self._step(step)

    def sent(self, message: Waiting) -> None:
        """Note that `message` was sent."""

        def step(state: State) -> None:
            state.waiting = [one for one in state.waiting if one.number != message.number]

        self._step(step)

    def failed(self, message: Waiting) -> None:
        """Give `message` back: the next notice tries it again."""

        def step(state: State) -> None:
            for one in state.waiting:
                if one.number == message.number:
                    one.claimed_until = self._clock()

        self._step(step)

    def _admit(self, state: State, notice: Notice, now: datetime) -> dict[str, object] | None:
        """Return what the message says of those held back before it; None where it is held back itself."""
        key = self._key(notice)
        group = state.groups.get(key)
        changed = False
        if notice.kind in OUTCOMES and "pipeline" in self._settings.group_by:
            # Good after bad, and bad after good, is news, whenever the same was told last.
            changed = state.outcomes.get(notice.dag_id, notice.kind) != notice.kind
            state.outcomes[notice.dag_id] = notice.kind
        if not self._settings.wants(notice):
            return None
        is_due = group is None or now - group.sent_at >= timedelta(hours=self._settings.repeat_hours)
        if group is not None and not is_due and not changed:
            group.held_back += 1
            return None
        state.groups[key] = Group(sent_at=now)
        if group is None or not group.held_back:
            return {}
        return {"held_back": group.held_back, "held_back_since": group.sent_at.isoformat(timespec="seconds")}

    def _key(self, notice: Notice) -> str:
        parts = {"pipeline": notice.dag_id, "kind": notice.kind, "task": notice.tasks, "error": notice.error}
        alike = [[name, parts[name]] for name in self._settings.group_by]
        # Every question wants an answer of its own, and whoever is to be woken up is.
        is_own = notice.kind == "approval" or notice.page
        return json.dumps([*alike, notice.dag_id, notice.run_id] if is_own else alike)

    def _forget_old(self, state: State, now: datetime) -> None:
        oldest = now - max(MAX_AGE, timedelta(hours=self._settings.repeat_hours))
        state.groups = {key: group for key, group in state.groups.items() if group.sent_at > oldest}
        state.waiting = [one for one in state.waiting if now - one.since < MAX_AGE][-MAX_WAITING:]

    def _step(self, change: Callable[[State], T]) -> T:
        """Apply `change` to the latest state and make the result the next one, whoever else does the same."""
        for _ in range(MAX_STEPS):
            names = [name for name in self._store.list(self._folder) if name.endswith(".json")]
            number = int(names[-1].removesuffix(".json")) if names else 0
            state = State.model_validate(self._store.read_json(self._uri(number))) if names else State()
            answer = change(state)
            if self._store.publish_once(self._uri(number + 1), state.model_dump_json().encode()):
                for name in names[:-KEPT_STATES]:
                    self._store.delete(f"{self._folder}/{name}")
                return answer
        raise TransientError(f"The state of {self._folder} changed {MAX_STEPS} times while one step was tried")

    def _uri(self, number: int) -> str:
        return f"{self._folder}/{number:012d}.json"
