"""What can go wrong with a request, and how REST and gRPC say it.

Errors of the engine are translated by `answer_of`; a server's own carry their answer themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from aimass.core.errors import (
    AimassError,
    ConfigError,
    CorruptDataError,
    DataError,
    NotAllowedError,
    NotFoundError,
    TransientError,
    nearest_name,
)


@dataclass(frozen=True)
class ErrorAnswer:
    """How an error leaves the server.

    Attributes
    ----------
    status : int
        Of HTTP.
    grpc : str
        Name of the `grpc.StatusCode`.
    code : str
        Word for programs.
    message : str
        Sentences for people.
    retry_after_s : float or None
        When the same request may succeed.
    """

    status: int
    grpc: str
    code: str
    message: str
    retry_after_s: float | None = None


class ServingError(AimassError):
    """Base of the errors that only a server knows."""

    status: ClassVar[int] = 500
    grpc: ClassVar[str] = "INTERNAL"
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, retry_after_s: float | None = None, **parts: Any) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message, **parts)


class MalformedError(ServingError):
    """The request cannot be read: not JSON, not the documented shape, sizes that contradict each other."""

    status, grpc, code = 400, "INVALID_ARGUMENT", "malformed"


class UnauthenticatedError(ServingError):
    """No token, or one that nobody issued."""

    status, grpc, code = 401, "UNAUTHENTICATED", "unauthenticated"


class ForbiddenError(ServingError):
    """The token is not for this model or this action."""

    status, grpc, code = 403, "PERMISSION_DENIED", "forbidden"


class RouteNotFoundError(ServingError):
    """No such address."""

    status, grpc, code = 404, "NOT_FOUND", "route_not_found"


class ModelNotFoundError(ServingError):
    """No model of that name is served."""

    status, grpc, code = 404, "NOT_FOUND", "model_not_found"

    def __init__(self, model: str, known: Iterable[str]) -> None:
        names = sorted(known)
        nearest = nearest_name(model, names)
        super().__init__(
            f"No model {model[:128]!r} is served here",
            known=names,
            hint=f"Did you mean {nearest!r}?" if nearest else None,
            model=model,
        )


class VersionNotFoundError(ServingError):
    """The model has no such version or alias, or it is archived."""

    status, grpc, code = 404, "NOT_FOUND", "version_not_found"


class MethodNotAllowedError(ServingError):
    """The address takes another method."""

    status, grpc, code = 405, "UNIMPLEMENTED", "method_not_allowed"


class SlowBodyError(ServingError):
    """The body did not arrive in time."""

    status, grpc, code = 408, "DEADLINE_EXCEEDED", "slow_body"


class TooLargeError(ServingError):
    """The body is larger than the limit."""

    status, grpc, code = 413, "RESOURCE_EXHAUSTED", "too_large"


class MediaTypeError(ServingError):
    """The body is of another media type than the address takes."""

    status, grpc, code = 415, "INVALID_ARGUMENT", "media_type"


class InvalidRowsError(ServingError):
    """The rows do not fit the model's signature."""

    status, grpc, code = 422, "INVALID_ARGUMENT", "invalid_rows"


class QueueFullError(ServingError):
    """More rows wait for the model than the bound allows."""

    status, grpc, code = 429, "RESOURCE_EXHAUSTED", "queue_full"


class UnavailableError(ServingError):
    """The server is draining, or the model is not loaded yet."""

    status, grpc, code = 503, "UNAVAILABLE", "unavailable"


class NotLoadedError(UnavailableError):
    """The model is known but not in memory: `ModelTable.ensure` brings it there."""

    code = "not_loaded"


class TimedOutError(ServingError):
    """The answer was not ready in time."""

    status, grpc, code = 504, "DEADLINE_EXCEEDED", "timed_out"


_ENGINE: tuple[tuple[type[AimassError], int, str, str], ...] = (
    # The first that fits; narrow before wide.
    (CorruptDataError, 503, "UNAVAILABLE", "unavailable"),
    (DataError, 422, "INVALID_ARGUMENT", "invalid_rows"),
    (NotFoundError, 404, "NOT_FOUND", "not_found"),
    (NotAllowedError, 403, "PERMISSION_DENIED", "forbidden"),
    (ConfigError, 400, "INVALID_ARGUMENT", "malformed"),
    (TransientError, 503, "UNAVAILABLE", "unavailable"),
)


def answer_of(error: BaseException) -> ErrorAnswer:
    """Return how `error` is told to the caller; what nobody foresaw is told without its text, which the log has."""
    if isinstance(error, ServingError):
        return ErrorAnswer(error.status, error.grpc, error.code, str(error), error.retry_after_s)
    for kind, status, grpc, code in _ENGINE:
        if isinstance(error, kind):
            return ErrorAnswer(status, grpc, code, str(error), 1.0 if status == 503 else None)
    return ErrorAnswer(
        500, "INTERNAL", "internal", "The server failed on this request; its log has the reason under the request id."
    )
