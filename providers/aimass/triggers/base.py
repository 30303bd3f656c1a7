"""What a condition is."""

from __future__ import annotations

from typing import Any, NamedTuple

from aimass.core.settings import Settings


class Look(NamedTuple):
    """What was seen when a condition was looked at.

    Attributes
    ----------
    met : bool
        Whether the waiting is over.
    told : str
        What was seen, for the log and for whoever waited too long.
    value : Any
        What the waiting task returns; JSON-able.
    """

    met: bool
    told: str
    value: Any = None


class Condition(Settings):
    """Something that becomes true later: a frozen, JSON-able description of what to look at."""

    def look(self) -> Look:
        """Look once; takes bounded time.

        Raises
        ------
        TerminalError
            It can never become true as it is described.
        TransientError
            Nothing could be seen now; the next look may succeed.
        """
        raise TypeError(f"{type(self).__name__} does not say how to look")
