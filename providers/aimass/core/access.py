"""The seam that every read of a source or dataset passes: who reads what, and for which purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class ReadRequest:
    """One read, before it happens.

    Attributes
    ----------
    principal : str
        Who asks: the owner of the DAG run, or the operating-system user at the command line.
    purpose : str
        The stage that reads ("train"), or "report".
    resource : str
        URI of the dataset or source.
    columns : tuple of str
        The columns wanted; empty means all of them.
    """

    principal: str
    purpose: str
    resource: str
    columns: tuple[str, ...] = ()


class Access(Protocol):
    """A policy over reads."""

    def check(self, request: ReadRequest) -> None:
        """Return when `request` is allowed; raise NotAllowedError when it is not."""


class AllowAll:
    """The default policy: everybody may read everything; still called for each read."""

    def check(self, request: ReadRequest) -> None:
        """Allow `request`."""
