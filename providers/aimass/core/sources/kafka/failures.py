"""What errors of the client libraries mean, in our tree."""

from __future__ import annotations

from kafka import errors

from aimass.core.errors import (
    AimassError,
    ConfigError,
    CorruptDataError,
    DataError,
    NotAllowedError,
    NotFoundError,
    UnreachableError,
)

_REFUSED = (
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
)


def translated(error: Exception, *, address: str) -> AimassError:
    """Return the error of kafka-python `error` in our tree; `address` tells which cluster."""
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, errors.AuthorizationError):
        return not_authorised(address, said)
    if isinstance(error, _REFUSED):
        return not_authenticated(address)
    if isinstance(error, errors.UnknownTopicOrPartitionError):
        return NotFoundError(
            f"A topic or partition is gone: {said}", hint="Start a new run: it reads what is there now"
        )
    if isinstance(error, errors.CorruptRecordError):
        return CorruptDataError(f"{address} sent a damaged message: {said}", hint="Ask whoever runs the cluster")
    if isinstance(error, ValueError | FileNotFoundError):
        return ConfigError(f"The connection to {address} cannot be used: {said}", hint="Check its fields and files")
    return unreachable(address, said)


def not_authenticated(address: str) -> NotAllowedError:
    """Build the error for a wrong user, password or mechanism."""
    return NotAllowedError(
        f"{address} refused user and password",
        expected="a user that the cluster knows, with the mechanism that it is known by",
        hint="Check user, password and mechanism of the connection",
    )


def not_authorised(address: str, said: str) -> NotAllowedError:
    """Build the error for a user without the right."""
    return NotAllowedError(
        f"{address} does not let this user read: {said}",
        hint="Ask for the rights READ and DESCRIBE on the topic",
    )


def unreachable(address: str, said: str) -> UnreachableError:
    """Build the error for a cluster that does not answer, or no longer."""
    return UnreachableError(f"No answer from {address}: {said}", hint="Check that the cluster runs, then retry")


def lost(where: str, start: int, begin: int) -> DataError:
    """Build the error for messages that were deleted before they were read."""
    return DataError(
        f"{where} begins at offset {begin:,}: the messages from {start:,} on were deleted before they were read",
        expected=f"the messages {start:,} to {begin - 1:,}",
        hint="Give the topic a longer retention or read more often; `on_lost: accept` goes on without them",
        topic_partition=where,
        start=start,
        begin=begin,
    )
