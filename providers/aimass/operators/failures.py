"""How a stage's error reaches Airflow: one clear message, retried only where a retry may help."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from airflow.sdk._shared.secrets_masker import redact
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from aimass.core.errors import AimassError, TransientError

FAILURE_KEY = "failure"
"""XCom in which a failed task says what went wrong; Airflow removes it when the task is tried again."""
MAX_MESSAGE_CHARACTERS = 4_000


class _OneMessage(Exception):
    """An error that says all in its message, so that the frames it passed through would only bury it."""

    def __str__(self) -> str:
        # Airflow logs every failure with its traceback, and asks for the message before it walks the frames: cutting
        # them here leaves one. There is no setting for it, and the frames would all be Airflow's own.
        if self.__traceback__ is not None:
            self.__traceback__.tb_next = None
        return super().__str__()


class StageFailedError(_OneMessage, AirflowFailException):
    """The stage can only fail again: no retry."""


class StageRetryError(_OneMessage, AirflowException):
    """The stage may succeed later: Airflow retries as the task says."""


def failure_document(error: AimassError) -> dict[str, Any]:
    """Return what is told of `error`, without what Airflow knows to be secret.

    Returns
    -------
    dict
        ``error`` (the class), ``message``, ``report`` (the address of a published report, or nothing).
    """
    document = {
        "error": type(error).__name__,
        "message": str(error)[:MAX_MESSAGE_CHARACTERS],
        "report": str(error.details.get("report", "")),
    }
    redacted: dict[str, Any] = {name: redact(value) for name, value in document.items()}
    return redacted


@contextlib.contextmanager
def translated_failures() -> Iterator[None]:
    """Turn the engine's errors into Airflow's; anything else is a bug and keeps its traceback."""
    try:
        yield
    except TransientError as error:
        raise StageRetryError(str(error)) from None
    except AimassError as error:
        raise StageFailedError(str(error)) from None
