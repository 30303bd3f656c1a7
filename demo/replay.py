"""Old flights as traffic, in compressed time: asked about when they depart, told of once they have landed."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from demo.traffic import LATER_COLUMN, Flight, Row, label_due

if TYPE_CHECKING:
    from aimass.core.endpoints.base import Endpoint, LateLabel

DAY = timedelta(days=1)
MOST_LABELS = 500
LABELS_EVERY_S = 1.0
WAIT_AFTER_FAILURE_S = 1.0


class Replay:
    """Sends flights, each at its time.

    Parameters
    ----------
    endpoint : Endpoint
        The server.
    model : str
        Whom to ask.
    flights : iterable of Flight
        In the order of their departures.
    speed : float
        Days of the flights in a second of ours.

    Attributes
    ----------
    speed : float
        May be changed while it runs.
    feed : callable
        What reaches the server of a flight's row; may be changed while it runs.
    sent : Counter
        Answers by version.
    failed : int
        Requests without a good answer.
    last_failure : str
        Why the last of them had none.
    at : datetime or None
        Scheduled departure of the flight that was asked about last.
    ended : bool
        Whether there are no more flights, or it was told to stop.
    """

    def __init__(self, endpoint: Endpoint, model: str, flights: Iterable[Flight], *, speed: float) -> None:
        self.feed: Callable[[Row], Row] = dict
        self.sent: Counter[str] = Counter()
        self.failed = 0
        self.last_failure = ""
        self.at: datetime | None = None
        self.ended = False
        self._endpoint = endpoint
        self._model = model
        self._flights = flights
        self.speed = speed
        self._sends_later = False
        self._labels: deque[tuple[datetime, LateLabel]] = deque()
        self._labelled_at = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Send flights until there are no more, or `stop` is set."""
        try:
            self._send(stop)
        finally:
            self.ended = True

    def _send(self, stop: threading.Event) -> None:
        due_s = time.monotonic()
        for flight in self._flights:
            due_s += (flight.at - (self.at or flight.at)) / DAY / self.speed
            if stop.wait(max(0.0, due_s - time.monotonic())):
                break
            self.at = flight.at
            self._ask(flight, stop)
            if time.monotonic() - self._labelled_at >= LABELS_EVERY_S:
                self._tell(flight.at)

    def _ask(self, flight: Flight, stop: threading.Event) -> None:
        from aimass.core.endpoints.base import LateLabel
        from aimass.core.errors import AimassError

        try:
            answer = self._answer(self.feed(flight.row))
        except AimassError as error:
            self.failed += 1
            self.last_failure = str(error)
            stop.wait(WAIT_AFTER_FAILURE_S)
            return
        self.sent[str(answer["version"])] += 1
        label = LateLabel(request_id=answer["request_id"], row=0, label=int(flight.late))
        self._labels.append((label_due(flight), label))

    def _answer(self, row: Row) -> dict[str, Any]:
        """Return the answer to a row; the first version knows no `LATER_COLUMN`, and those after it ask for it."""
        from aimass.core.errors import DataError

        for _ in range(2):
            sent = row if self._sends_later else {name: cell for name, cell in row.items() if name != LATER_COLUMN}
            try:
                return self._endpoint.predict(self._model, [sent])
            except DataError:
                # The server has another version than a moment ago.
                self._sends_later = not self._sends_later
        return self._endpoint.predict(self._model, [row])

    def _tell(self, now: datetime) -> None:
        """Tell how flights ended whose end is known by `now`."""
        from aimass.core.errors import AimassError

        self._labelled_at = time.monotonic()
        known = [label for due, label in itertools.islice(self._labels, MOST_LABELS) if due <= now]
        if not known:
            return
        try:
            self._endpoint.label(self._model, known)
        except AimassError as error:
            self.last_failure = str(error)
            return
        for _ in known:
            self._labels.popleft()
