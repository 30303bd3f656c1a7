"""The server's log: one JSON object a line, on standard error."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

LOGGER = "aimass.serving"
ERRORS_PER_SECOND = 20
"""Refused requests that are logged in a second; a client that goes wild must not fill the disk."""

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Writes a record with what was passed as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        document: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "pid": record.process,
            "event": record.getMessage(),
        }
        document |= {key: value for key, value in vars(record).items() if key not in _PLAIN}
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False, default=str)


def set_up_logs(level: int = logging.INFO) -> None:
    """Send the server's log, and the warnings of the libraries under it, to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(LOGGER).setLevel(level)


class Throttle:
    """Lets through so many a second, and counts the rest.

    Parameters
    ----------
    per_second : int
        How many.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = 0
        self._used = 0
        self._left_out = 0

    def admits(self) -> bool:
        """Return whether one more may pass now."""
        now = int(time.monotonic())
        if now != self._second:
            self._second, self._used = now, 0
        self._used += 1
        if self._used <= self._per_second:
            return True
        self._left_out += 1
        return False

    def take_left_out(self) -> int:
        """Return how many did not pass since this was last asked."""
        count, self._left_out = self._left_out, 0
        return count
