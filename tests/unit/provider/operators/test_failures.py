from __future__ import annotations

import pytest
import structlog
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from aimass.core.errors import ConfigError, GateRefusedError, StorageFullError, UnreachableError
from aimass.operators.failures import StageFailedError, StageRetryError, translated_failures


@pytest.mark.parametrize("error", [ConfigError("bad"), GateRefusedError("bad")])
def test_a_terminal_error_is_not_retried(error: Exception) -> None:
    with pytest.raises(AirflowFailException, match="bad"), translated_failures():
        raise error


@pytest.mark.parametrize("error", [UnreachableError("later"), StorageFullError("later")])
def test_a_transient_error_is_retried(error: Exception) -> None:
    with pytest.raises(AirflowException, match="later") as caught, translated_failures():
        raise error
    assert isinstance(caught.value, StageRetryError)
    assert not isinstance(caught.value, AirflowFailException)


def test_a_bug_keeps_its_own_type() -> None:
    with pytest.raises(ZeroDivisionError), translated_failures():
        print(1 / 0)


def test_airflows_log_shows_the_message_and_one_frame() -> None:
    """Rendered as Airflow renders the log of a task: structlog's dictionaries."""

    def deep(levels: int) -> None:
        if levels:
            deep(levels - 1)
        with translated_failures():
            raise ConfigError("The key 'a' is unknown", expected="'b'")

    render = structlog.tracebacks.ExceptionDictTransformer(use_rich=False, show_locals=False)
    try:
        deep(20)
    except StageFailedError as error:
        (shown,) = render((type(error), error, error.__traceback__))
    assert shown["exc_value"] == "The key 'a' is unknown. Expected: 'b'."
    assert len(shown["frames"]) == 1
