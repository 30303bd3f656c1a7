"""What can go wrong with a call.

::

    ClientError              itself: what was given cannot be sent, or the answer is none of an inference server
    ├── UnreachableError         no answer: connection refused, lost, or too slow
    └── ServerError              the server said no; `code`, `status`, `request_id`, `retry_after_s`
        ├── MalformedError       400, 405, 415: the request cannot be read
        ├── UnauthenticatedError 401: no token, or a wrong one
        ├── ForbiddenError       403: the token is not for this
        ├── NotFoundError        404: no such model, version, alias or address
        ├── TooLargeError        413: the body is larger than the server takes
        ├── InvalidRowsError     422: the rows do not fit the model's columns
        ├── QueueFullError       429: too much waits; retried
        ├── UnavailableError     503: draining, or not loaded yet; retried
        ├── TimedOutError        408, 504: not in time
        └── InternalError        500: the server's log has the reason under the request id
"""

from __future__ import annotations


class ClientError(Exception):
    """Base of what a call raises."""

    is_retried: bool = False
    """Whether the same call may be tried again at once, since the server has not begun it."""


class UnreachableError(ClientError):
    """The server did not answer."""

    def __init__(self, message: str, *, is_retried: bool = False) -> None:
        super().__init__(message)
        self.is_retried = is_retried


class ServerError(ClientError):
    """The server's answer was an error.

    Attributes
    ----------
    code : str
        The server's word for it, such as ``model_not_found``; finer than the class.
    status : int
        Of HTTP.
    request_id : str
        Names the request in the server's log.
    retry_after_s : float or None
        When the same call may succeed.
    """

    def __init__(
        self, message: str, *, code: str, status: int, request_id: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class MalformedError(ServerError):
    """The server cannot read the request."""


class UnauthenticatedError(ServerError):
    """No token, or one that nobody issued."""


class ForbiddenError(ServerError):
    """The token is not for this model or this action."""


class NotFoundError(ServerError):
    """No such model, version, alias or address."""


class TooLargeError(ServerError):
    """The body is larger than the server takes: send fewer rows at a time."""


class InvalidRowsError(ServerError):
    """The rows do not fit the model's columns; the message names row, column and the nearest known name."""


class QueueFullError(ServerError):
    """Too many rows wait for the model."""

    is_retried = True


class UnavailableError(ServerError):
    """The server is draining, or the model is not loaded yet."""

    is_retried = True


class TimedOutError(ServerError):
    """The request did not arrive, or the answer was not ready, in time."""


class InternalError(ServerError):
    """The server failed on the request."""


BY_STATUS: dict[int, type[ServerError]] = {
    400: MalformedError,
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    405: MalformedError,
    408: TimedOutError,
    413: TooLargeError,
    415: MalformedError,
    422: InvalidRowsError,
    429: QueueFullError,
    503: UnavailableError,
    504: TimedOutError,
}
"""The class of an answer's status; every other status is an InternalError."""


def server_error(
    status: int, message: str, *, code: str, request_id: str = "", retry_after_s: float | None = None
) -> ServerError:
    """Build the error of an answer."""
    kind = BY_STATUS.get(status, InternalError)
    return kind(message, code=code, status=status, request_id=request_id, retry_after_s=retry_after_s)
