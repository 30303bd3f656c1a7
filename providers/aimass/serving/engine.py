"""What REST and gRPC share: from a request's words to the answer's numbers."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

from aimass.core.features.row_encoder import Block
from aimass.serving.context import PredictionRecord, Resolved, WorkerContext
from aimass.serving.loaded import Labels, LoadedModel, Probabilities


class Ask(NamedTuple):
    """Whom a request asks, and how it is called."""

    model: str
    version: str | None = None
    alias: str | None = None
    route_key: str = ""
    """Keeps a caller at one side of a traffic split; empty: the request's own id."""
    request_id: str = ""
    protocol: str = "rest"
    token: str = ""
    """Name of the token, for the count of who uses what."""
    started: float = 0.0
    """`time.perf_counter()` when the request's first byte was seen."""


class Answer(NamedTuple):
    """What the model said."""

    resolved: Resolved
    probability: Probabilities
    """Shape (n_rows,): of class 1."""
    label: Labels
    """Shape (n_rows,): 0 or 1."""


class Engine:
    """Answers requests: resolve, encode, batch, run, note.

    Parameters
    ----------
    context : WorkerContext
        What the worker is given.
    """

    def __init__(self, context: WorkerContext) -> None:
        self.context = context

    async def answer(self, ask: Ask, block_of: Callable[[LoadedModel], Block]) -> Answer:
        """Return the answer to one request.

        Parameters
        ----------
        ask : Ask
            Whom it asks.
        block_of : callable
            Makes the rows in canonical form once the version is known; what it raises is the caller's mistake.

        Raises
        ------
        ServingError
            See `errors`: not found, not loaded, queue full, timed out, draining.
        DataError
            The rows do not fit the signature.
        """
        resolved = self.context.table.resolve(
            ask.model, version=ask.version, alias=ask.alias, route_key=ask.route_key or ask.request_id
        )
        block = block_of(resolved.loaded)
        probability, label = resolved.loaded.run(block)
        latency_ms = (time.perf_counter() - ask.started) * 1e3
        self.context.journal.append(
            PredictionRecord(resolved, ask.request_id, time.time(), latency_ms, block, probability, label)
        )
        return Answer(resolved, probability, label)


_SERVER = secrets.token_hex(8)
_numbers = itertools.count()


def new_request_id() -> str:
    """Return an id that no other request of any server has."""
    return f"{_SERVER}-{next(_numbers):x}"
