"""What a place is that files are written to."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol

from aimass.core import settings
from aimass.core.deps import Deps


class Destination(Protocol):
    """A folder of files, wherever it is.

    Constructed as ``Destination(settings, deps)``; opens nothing before a method is called. All methods raise
    NotAllowedError, UnreachableError and NotFoundError as sources do.
    """

    Settings: ClassVar[type[settings.Settings]]

    def __init__(self, settings: Any, deps: Deps) -> None: ...

    @property
    def uri(self) -> str:
        """The folder, without a slash at its end."""

    def write(self, name: str, path: Path) -> None:
        """Write the local file at `path` as `name`: visible when it is whole, in the place of an earlier one."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file; None where there is none."""

    def delete(self, name: str) -> None:
        """Delete a file; deleting nothing is fine."""
