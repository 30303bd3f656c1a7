"""Ask a server behind us, but do not keep the reader waiting for one that does not answer."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aimass.core.errors import UnreachableError

PATIENCE_S = 20.0
"""Long enough for a cold start of the client's library; the client's own limits add up to about half a minute."""
ASKERS = 4
"""So many threads at most wait for a server that is silent; further questions end unasked."""

T = TypeVar("T")
_askers = ThreadPoolExecutor(ASKERS, thread_name_prefix="aimass-patience")


def patiently(question: Callable[[], T], *, whom: str, seconds: float = PATIENCE_S) -> T:
    """Return what `question` returns, or raise UnreachableError after so many seconds.

    Parameters
    ----------
    question : callable
        Asks the server; its own errors pass unchanged.
    whom : str
        Who is asked, for the message.
    seconds : float
        How long to wait.
    """
    asked = _askers.submit(contextvars.copy_context().run, question)
    try:
        return asked.result(seconds)
    except TimeoutError:
        asked.cancel()
        raise UnreachableError(
            f"The {whom} has not answered within {seconds:.0f} seconds", hint="Try again later, or check that it runs"
        ) from None
