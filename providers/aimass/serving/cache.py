"""The server's own folder: fetched models by digest, and the last known table, so that it starts without a registry."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from aimass.core.errors import CorruptDataError, from_os_error
from aimass.core.storage import file_digest
from aimass.serving.state import Table
from aimass.serving.watcher import FILES, SHA256

SPARE_VERSIONS = 16
"""How many fetched versions stay on disk beside those that are served."""

log = logging.getLogger(__name__)


class Cache:
    """Files of versions, and the table.

    Parameters
    ----------
    folder : Path
        May be shared by servers: what is in it is named by digest and server.
    server : str
        Name of the server, whose table is kept.
    """

    def __init__(self, folder: Path, server: str) -> None:
        self.folder = folder
        self._models = folder / "models"
        self._table = folder / f"{server}.table.json"
        try:
            self._models.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise from_os_error(error, doing="making the cache folder") from error

    def obtain(self, digest: str, fetch: Callable[[Path], None]) -> Path:
        """Return the folder with the files of the version; `fetch` fills one where they are not there, or damaged.

        Raises
        ------
        CorruptDataError
            The digest is none, or what was fetched has another.
        StorageFullError
            There is no room.
        """
        if not SHA256.match(digest):
            raise CorruptDataError(f"The version's digest is {digest[:80]!r}", expected="a sha256 of its model.onnx")
        target = self._models / digest
        try:
            if self._is_whole(target, digest):
                os.utime(target)
                return target
            shutil.rmtree(target, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self._models) as folder:
                fetched = Path(folder, digest)
                fetched.mkdir()
                fetch(fetched)
                if not self._is_whole(fetched, digest):
                    raise CorruptDataError(f"What was fetched of {digest[:12]}… is not whole", hint="Release it again")
                try:
                    fetched.rename(target)
                except OSError:
                    # Another model with the same bytes, or a server that shares the folder, may have been first.
                    if not self._is_whole(target, digest):
                        raise
        except OSError as error:
            raise from_os_error(error, doing="fetching a version") from error
        return target

    def prune(self, keep: Collection[str]) -> None:
        """Delete versions whose digest is not in `keep`, but for the newest few."""
        others = [path for path in self._models.iterdir() if path.name not in keep and SHA256.match(path.name)]
        for path in sorted(others, key=_age, reverse=True)[:-SPARE_VERSIONS]:
            shutil.rmtree(path, ignore_errors=True)

    def load_table(self) -> Table | None:
        """Return the table that was saved last, or None; one that cannot be read is as none."""
        try:
            return msgspec.json.decode(self._table.read_bytes(), type=Table)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("the last known table in %s cannot be read: %s", self._table, error)
            return None

    def save_table(self, table: Table) -> None:
        """Save the table in one act; where the disk is full the one before stays, and the log says so."""
        temporary = self._table.with_suffix(".new")
        try:
            temporary.write_bytes(msgspec.json.format(msgspec.json.encode(table), indent=1))
            temporary.replace(self._table)
        except OSError as error:
            log.error("the table could not be saved in %s: %s", self._table, error)

    @staticmethod
    def _is_whole(folder: Path, digest: str) -> bool:
        whole = all((folder / name).is_file() for name in FILES)
        return whole and file_digest(folder / FILES[0]) == digest


def _age(path: Path) -> float:
    return -path.stat().st_mtime
