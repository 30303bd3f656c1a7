"""Named points at which a crash test may stop the process; in production they do nothing."""

from __future__ import annotations

from typing import Protocol


class Failpoints(Protocol):
    """Receives the name of each dangerous moment as it is passed."""

    def hit(self, name: str) -> None:
        """Pass the point `name`; a crash test may never return from here."""


class NoFailpoints:
    """Production: every point is passed at once."""

    def hit(self, name: str) -> None:
        """Return at once."""
