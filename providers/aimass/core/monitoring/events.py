"""The log of alerts: one entry per judged window, written once, chained, with all that was seen and done.

``<store>/<project>/alerts/<model>/log/<number>.json``. An entry has the digest of the one before it, so that a removed
or altered one is noticed; the newest one has the state from which the next window is judged. Whoever judges a window a
second time gets the entry of the first time back, with the same orders: a task that was killed after it wrote may be
repeated.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import datetime

from pydantic import Field

from aimass.core.deps import Deps, safe_name
from aimass.core.errors import CorruptDataError
from aimass.core.monitoring.alerts import judge_window
from aimass.core.monitoring.judgement import Event, Judgement, WatchState
from aimass.core.monitoring.observations import Observation
from aimass.core.monitoring.rules import Watch
from aimass.core.settings import Settings
from aimass.core.storage import text_digest


class AlertEntry(Settings):
    """What was seen in a window, what came of it, and who judged."""

    index: int = Field(description="Its place in the log.")
    seen: Observation = Field(description="The window's figures.")
    judgement: Judgement = Field(description="What came of them.")
    rules: str = Field(description="Digest of the watch file's content.")
    at: datetime = Field(description="When it was judged (UTC).")
    who: str = Field(description="The principal who judged.")
    run_id: str = Field(description="The run that judged.")
    before: str = Field(default="", description="Digest of the entry before this one; empty at the first.")


class AlertLog:
    """The log of one model's alerts.

    Parameters
    ----------
    deps : Deps
        Whose store keeps it.
    project, model : str
        Whose alerts they are.
    """

    def __init__(self, deps: Deps, project: str, model: str) -> None:
        self._deps = deps
        self._folder = deps.store.folder(project, "alerts", safe_name(model), "log")

    def judge(self, watch: Watch, seen: Observation) -> AlertEntry | None:
        """Judge a window and write what came of it; return the entry.

        A window that was judged before gives its entry of then; one that is older than the newest judged one, and was
        not judged in its time, gives None: what came after it is known already.
        """
        while True:
            last = self.last()
            if last is not None and seen.start <= last.seen.start:
                return self._judged(last, seen.start)
            state = last.judgement.state if last is not None else WatchState()
            entry = AlertEntry(
                index=last.index + 1 if last is not None else 0,
                seen=seen,
                judgement=judge_window(watch, state, seen),
                rules=text_digest(watch.model_dump(mode="json")),
                at=self._deps.clock(),
                who=self._deps.principal,
                run_id=self._deps.runtime.run_id,
                before=_digest(last) if last is not None else "",
            )
            data = json.dumps(entry.model_dump(mode="json"), ensure_ascii=False, indent=1).encode()
            self._deps.failpoints.hit("before_alert_entry")
            if self._deps.store.publish_once(self._uri(entry.index), data):
                self._deps.failpoints.hit("after_alert_entry")
                return entry

    def last(self) -> AlertEntry | None:
        """Return the newest entry, or None."""
        names = [name for name in self._deps.store.list(self._folder) if name.endswith(".json")]
        return self._entry(int(names[-1].removesuffix(".json"))) if names else None

    def newest(self, limit: int = 100) -> list[AlertEntry]:
        """Return the newest entries, the newest first, at most `limit`.

        Raises
        ------
        CorruptDataError
            One of them is missing, or is not the one that its successor was written after.
        """
        return list(itertools.islice(self._backwards(self.last()), limit))

    def events(self, limit: int = 100, *, windows: int = 1000) -> list[Event]:
        """Return the newest events of the last `windows` judged windows, the newest first, at most `limit`."""
        found: list[Event] = []
        for entry in itertools.islice(self._backwards(self.last()), windows):
            found += reversed(entry.judgement.events)
            if len(found) >= limit:
                break
        return found[:limit]

    def _judged(self, last: AlertEntry, start: datetime) -> AlertEntry | None:
        for entry in self._backwards(last):
            if entry.seen.start <= start:
                return entry if entry.seen.start == start else None
        return None

    def _backwards(self, entry: AlertEntry | None) -> Iterator[AlertEntry]:
        """Yield `entry` and those before it, each checked against its successor."""
        while entry is not None:
            yield entry
            if entry.index == 0:
                return
            earlier = self._entry(entry.index - 1)
            if entry.before != _digest(earlier):
                raise CorruptDataError(
                    f"Entry {entry.index} of the alert log {self._folder} does not follow the one before it",
                    expected=f"before={entry.before!r}",
                    hint="Somebody changed an entry; restore the folder from a backup",
                )
            entry = earlier

    def _uri(self, index: int) -> str:
        return f"{self._folder}/{index:08d}.json"

    def _entry(self, index: int) -> AlertEntry:
        uri = self._uri(index)
        if not self._deps.store.exists(uri):
            raise CorruptDataError(
                f"Entry {index} of the alert log {self._folder} is missing", hint="Restore the folder from a backup"
            )
        return AlertEntry.model_validate(self._deps.store.read_json(uri))


def _digest(entry: AlertEntry) -> str:
    return text_digest(entry.model_dump(mode="json"))
