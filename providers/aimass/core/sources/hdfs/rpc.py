"""HDFS by its own protocol, through hdfs-native."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import IO, TYPE_CHECKING, TypeVar, cast

from aimass.core.errors import AimassError, ConfigError, MissingDependencyError, TransientError
from aimass.core.sources.hdfs.client import Entry, translated, unreachable
from aimass.core.sources.read_ahead import ReadAhead

if TYPE_CHECKING:
    from hdfs_native import Client, FileReader, FileStatus, FileWriter

    from aimass.core.sources.hdfs.connection import HdfsConnection

T = TypeVar("T")

USER_VARIABLE = "HADOOP_USER_NAME"
HINT = "Look into the NameNode's log, then retry"


class RpcClient:
    """A file system by RPC.

    Parameters
    ----------
    connection : HdfsConnection
        Where it is.
    """

    def __init__(self, connection: HdfsConnection) -> None:
        try:
            import hdfs_native
        except ImportError:
            raise MissingDependencyError("hdfs-native", extra="hdfs") from None
        self._native = hdfs_native
        self._connection = connection
        self._client: Client | None = None

    def status(self, path: str) -> Entry:
        """Return what stands at `path`."""
        return _entry(self._ask(lambda client: client.get_file_info(path), f"looking for {path}"))

    def children(self, folder: str) -> list[Entry]:
        """Return what lies directly in `folder`."""
        found = self._ask(lambda client: list(client.list_status(folder)), f"listing {folder}")
        return [_entry(status) for status in found]

    def is_open(self, entry: Entry) -> bool:
        """Return whether a file that is perhaps open is still being written.

        The NameNode counts whole blocks of such a file, so an odd size shows a closed one, unless the writer asked for
        its bytes to be seen (hsync): those the reader does not have.
        """
        return entry.size % entry.block_bytes == 0 or len(self._reader(entry.path)) < entry.size

    def open(self, path: str, size: int) -> IO[bytes]:
        """Open the first `size` bytes of a file: seekable, and reading ahead."""
        reader = self._whole(path, size)
        doing = f"reading {path}"

        def fetch(start: int, stop: int) -> bytes:
            with self._translated(doing):
                return reader.read_range(start, stop - start)

        return cast("IO[bytes]", ReadAhead(fetch, size))

    def fetch(self, path: str, size: int) -> bytes:
        """Return the first `size` bytes of a small file."""
        reader = self._whole(path, size)
        with self._translated(f"reading {path}"):
            return reader.read_range(0, size)

    def create(self, path: str) -> IO[bytes]:
        """Open a new file for writing, with its folders."""
        options = self._native.WriteOptions(overwrite=True, create_parent=True)
        writer = self._ask(lambda client: client.create(path, options), f"creating {path}")
        return cast("IO[bytes]", _Writer(self._translated, writer, path))

    def rename(self, path: str, target: str) -> None:
        """Move a file; it replaces one that stands at `target`."""
        self._ask(lambda client: client.rename(path, target, overwrite=True), f"renaming {path}")

    def delete(self, path: str) -> None:
        """Delete a file or a folder with all that is in it."""
        self._ask(lambda client: client.delete(path, recursive=True), f"deleting {path}")

    def _reader(self, path: str) -> FileReader:
        return self._ask(lambda client: client.read(path), f"opening {path}")

    def _whole(self, path: str, size: int) -> FileReader:
        reader = self._reader(path)
        if len(reader) < size:
            raise TransientError(
                f"{path} has {len(reader):,} readable bytes, where {size:,} were listed",
                expected="a file that nobody appends to",
                hint="Retry once its writer has closed it",
            )
        return reader

    def _ask(self, question: Callable[[Client], T], doing: str) -> T:
        """Ask the NameNode; an answer is waited for in a thread, since hdfs-native knows no time-out for it."""
        limit_s = self._connection.timeout_s
        answer: Future[T] = Future()

        def run() -> None:
            try:
                with IDENTITY.acting_as(self._connection.user):
                    answer.set_result(question(self._opened()))
            except BaseException as error:  # noqa: BLE001 - a panic of the Rust code is no Exception
                answer.set_exception(error)

        threading.Thread(target=run, name="hdfs", daemon=True).start()
        with self._translated(doing):
            try:
                return answer.result(limit_s)
            except TimeoutError:
                raise unreachable(self._connection.address, doing=doing, why=f"silence for {limit_s:g} s") from None

    def _opened(self) -> Client:
        if self._client is None:
            connection = self._connection
            if not connection.is_name_service:
                host, _, port = connection.address.rpartition(":")
                socket.create_connection((host, int(port)), timeout=connection.timeout_s).close()
            self._client = self._native.Client(
                f"hdfs://{connection.address}",
                _hadoop_settings(connection),
                connection.config_dir,
                kerberos_principal=connection.kerberos_principal,
                kerberos_keytab=connection.kerberos_keytab,
                kerberos_cache=connection.kerberos_cache,
            )
        return self._client

    @contextlib.contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, AimassError):
            raise
        except ValueError as error:
            raise ConfigError(f"The connection to HDFS cannot be used: {error}") from error
        except OSError as error:
            raise unreachable(self._connection.address, doing=doing, why=error) from error
        except BaseException as error:
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                raise translated(error, doing=doing, hint=HINT) from error
            raise


class _Writer(io.RawIOBase):
    """A new file; what goes wrong has our errors."""

    def __init__(
        self, translate: Callable[[str], contextlib.AbstractContextManager[None]], writer: FileWriter, path: str
    ) -> None:
        super().__init__()
        self._translate = translate
        self._writer = writer
        self._doing = f"writing {path}"

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """Write all of `data`."""
        with self._translate(self._doing):
            return self._writer.write(data)

    def close(self) -> None:
        """Let the NameNode know that the file is whole."""
        if not self.closed:
            super().close()
            with self._translate(self._doing):
                self._writer.close()


def _hadoop_settings(connection: HdfsConnection) -> dict[str, str]:
    """Return the settings; what bounds the time of calls comes first, so that the connection's own ones win."""
    bounds = {
        "dfs.client.socket-timeout": str(round(connection.timeout_s * 1000)),
        "dfs.client.failover.max.attempts": "4",
    }
    security = {"hadoop.security.authentication": "kerberos"} if connection.kerberos else {}
    return bounds | security | connection.hadoop


class _Identity:
    """As whom this process connects: hdfs-native takes the name from the environment alone, when it connects."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._user = ""
        self._calls = 0
        self._before: str | None = None

    @contextlib.contextmanager
    def acting_as(self, user: str | None) -> Iterator[None]:
        """Have connections that open in the block say that they are `user`; calls as another user wait."""
        if user is None:
            yield
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._calls or self._user == user)
            if not self._calls:
                self._user, self._before = user, os.environ.get(USER_VARIABLE)
                os.environ[USER_VARIABLE] = user
            self._calls += 1
        try:
            yield
        finally:
            with self._changed:
                self._calls -= 1
                if not self._calls:
                    self._restore()

    def _restore(self) -> None:
        if self._before is None:
            del os.environ[USER_VARIABLE]
        else:
            os.environ[USER_VARIABLE] = self._before
        self._changed.notify_all()


IDENTITY = _Identity()


def _entry(status: FileStatus) -> Entry:
    return Entry(
        path=status.path,
        size=status.length,
        is_folder=status.isdir,
        changed_ms=status.modification_time,
        accessed_ms=status.access_time,
        block_bytes=status.blocksize or 1,
    )
