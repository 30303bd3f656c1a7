"""Where the server is, how it is reached, and how long one waits for it."""

from __future__ import annotations

import random
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from aimass_client.errors import ClientError, ServerError, UnreachableError


@dataclass(frozen=True)
class Connection:
    """How a server is reached.

    Attributes
    ----------
    url : str
        Such as ``https://models.example:8200``; ``host:port`` for gRPC.
    token : str
        Sent with every call; empty for none. Never shown.
    ca_file : path or None
        PEM file with the authority that signed the server's certificate; None: those that the system trusts.
    timeout_s : float
        Time for one call, its retries and their waits included.
    attempts : int
        Times that a call is tried where the server says "later" (429, 503) or the connection is refused.
    """

    url: str
    token: str = field(default="", repr=False)
    ca_file: Path | None = None
    timeout_s: float = 10.0
    attempts: int = 4


class Patience:
    """What is left of one call's attempts and time."""

    def __init__(self, connection: Connection) -> None:
        self._attempts = connection.attempts
        self._deadline = time.monotonic() + connection.timeout_s
        self._backoff_s = 0.05

    @property
    def left_s(self) -> float:
        """Time that is left, in seconds; a moment at least, so that a time-out is the transport's to tell."""
        return max(self._deadline - time.monotonic(), 0.001)

    def after(self, error: ClientError) -> float | None:
        """Return how long to wait before the next attempt; None where the call has failed for good.

        Tried again is what the server has not begun: it said "later", or took no connection. The server's word on how
        long goes first; without one the wait doubles, with jitter, so that clients do not come in step.
        """
        self._attempts -= 1
        if self._attempts <= 0 or not error.is_retried:
            return None
        wait = self._backoff_s * random.uniform(0.5, 1.5)
        self._backoff_s *= 2
        if isinstance(error, ServerError) and error.retry_after_s is not None:
            wait = error.retry_after_s
        return wait if wait < self._deadline - time.monotonic() else None


def transport_options(connection: Connection) -> dict[str, Any]:
    """Return what both clients give to httpx."""
    try:
        verify = ssl.create_default_context(cafile=str(connection.ca_file)) if connection.ca_file else True
    except OSError as error:
        raise unreadable_ca_file(connection, error) from error
    headers = {"Authorization": f"Bearer {connection.token}"} if connection.token else {}
    return {"base_url": connection.url, "headers": headers, "verify": verify}


def unreadable_ca_file(connection: Connection, error: OSError) -> ClientError:
    """Return the error of a `ca_file` that holds no certificates."""
    return ClientError(f"ca_file {connection.ca_file} cannot be read: {error}; expected: a PEM file with certificates")


def unreachable(connection: Connection, error: httpx.HTTPError) -> UnreachableError:
    """Return the error of an answer that did not come."""
    reason = str(error) or type(error).__name__
    refused = isinstance(error, httpx.ConnectError)
    return UnreachableError(f"{connection.url} did not answer: {reason}", is_retried=refused)
