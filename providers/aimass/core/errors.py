"""The one exception tree of the engine.

::

    AimassError
    ├── TerminalError             do not retry: the input or the configuration must change
    │   ├── ConfigError           a field is unknown, missing or absurd
    │   │   └── UnknownNameError  a backend, column or table that nobody registered
    │   ├── MissingDependencyError  an optional package is not installed
    │   ├── NotFoundError         a file, dataset, model version or host name does not exist
    │   ├── NotAllowedError       the policy, an allow-list or the file mode says no
    │   ├── DataError             the data cannot be used as it is
    │   │   ├── SchemaMismatchError  a column is missing or has another type
    │   │   ├── EmptyDataError    no rows are left
    │   │   ├── CorruptDataError  bytes that cannot be read, or whose digest differs
    │   │   └── TargetError       the target is missing, constant, null or has an unseen class
    │   ├── ValidationFailedError an expectation on the data did not hold
    │   └── GateRefusedError      parity or quality forbids the release
    └── TransientError            try again later
        ├── UnreachableError      a server does not answer
        └── StorageFullError      no space left on the device
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from typing import Any


class AimassError(Exception):
    """Base of every error that AI Mass raises on purpose.

    Parameters
    ----------
    message : str
        What was seen, in one sentence.
    expected : str, optional
        What would have been right.
    known : iterable of str, optional
        The values that exist.
    hint : str, optional
        What to do next.
    **details
        The parts of the message as data (``column=...``, ``uri=...``), kept in `details`.
    """

    def __init__(
        self,
        message: str,
        *,
        expected: str | None = None,
        known: Iterable[str] | None = None,
        hint: str | None = None,
        **details: Any,
    ) -> None:
        self.message = message
        self.expected = expected
        self.known = sorted(known) if known is not None else None
        self.hint = hint
        self.details = details
        super().__init__(self._text())

    def _text(self) -> str:
        parts = [_sentence(self.message)]
        if self.expected:
            parts.append(_sentence(f"Expected: {self.expected}"))
        if self.known is not None:
            shown = ", ".join(self.known[:40]) + (", …" if len(self.known) > 40 else "")
            parts.append(f"Known: {shown or 'none'}.")
        if self.hint:
            parts.append(_sentence(self.hint))
        return " ".join(parts)


class TerminalError(AimassError):
    """The same call can only fail again: the input or the configuration must change."""


class TransientError(AimassError):
    """The same call may succeed later."""


class ConfigError(TerminalError):
    """A configuration field is unknown, missing or has an impossible value."""


class UnknownNameError(ConfigError):
    """A name that nobody registered; names the nearest known one."""

    def __init__(self, kind: str, name: str, known: Iterable[str], **details: Any) -> None:
        names = sorted(known)
        nearest = nearest_name(name, names)
        super().__init__(
            f"Unknown {kind} {name!r}",
            known=names,
            hint=f"Did you mean {nearest!r}?" if nearest else None,
            kind=kind,
            name=name,
            nearest=nearest,
            **details,
        )


class MissingDependencyError(TerminalError):
    """An optional package is not installed; carries the exact install line."""

    def __init__(self, package: str, *, extra: str | None = None) -> None:
        target = f"'airflow-provider-aimass[{extra}]'" if extra else package
        super().__init__(
            f"The package {package!r} is not installed", hint=f"Run: pip install {target}", package=package
        )


class NotFoundError(TerminalError):
    """A file, dataset, model version or host does not exist."""


class NotAllowedError(TerminalError):
    """The access policy, an allow-list or the file mode forbids it."""


class DataError(TerminalError):
    """The data cannot be used as it is."""


class SchemaMismatchError(DataError):
    """A column is missing or has another type than was asked for."""


class EmptyDataError(DataError):
    """No rows are left to work on."""


class CorruptDataError(DataError):
    """Bytes that cannot be read, or whose digest is not the recorded one."""


class TargetError(DataError):
    """The target is missing, constant, null, or has a class that training never saw."""


class ValidationFailedError(TerminalError):
    """An expectation on the data did not hold."""


class GateRefusedError(TerminalError):
    """A parity or quality gate forbids the release."""


class UnreachableError(TransientError):
    """A server does not answer."""


class StorageFullError(TransientError):
    """No space is left on the device."""


def _sentence(text: str) -> str:
    return text if text.endswith(("?", "!", "…")) else f"{text.rstrip('.')}."


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` was most likely meant to be, or None."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def missing_column(column: str, known: Iterable[str], *, where: str) -> SchemaMismatchError:
    """Build the error for a column that is not there, with the nearest existing name."""
    names = list(known)
    nearest = nearest_name(column, names)
    return SchemaMismatchError(
        f"Column {column!r} is not in {where}",
        known=names,
        hint=f"Did you mean {nearest!r}?" if nearest else None,
        column=column,
        nearest=nearest,
    )


def from_os_error(error: OSError, *, doing: str) -> AimassError:
    """Translate an operating-system error met while `doing` something into our tree."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError(
            f"No space left on the device while {doing}{where}",
            hint="Free some space (airflow aimass gc lists what may go), then retry; nothing half-written is visible",
        )
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"No such file while {doing}{where}", hint="Check the path and its spelling")
    if isinstance(error, PermissionError):
        return NotAllowedError(f"Permission denied while {doing}{where}", hint="Grant the Airflow user access to it")
    if isinstance(error, (ConnectionError, TimeoutError)):
        return UnreachableError(f"No connection while {doing}: {error}", hint="Check that the server runs, then retry")
    return TransientError(f"The operating system refused while {doing}{where}: {error.strerror or error}")
