"""HDFS over HTTP (WebHDFS, HttpFS, Knox), through fsspec's client."""

from __future__ import annotations

import contextlib
import functools
import io
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, cast

from aimass.core.errors import AimassError, MissingDependencyError, NotAllowedError, UnreachableError
from aimass.core.sources.hdfs.client import Entry, first_line, translated, unreachable
from aimass.core.sources.read_ahead import ReadAhead

if TYPE_CHECKING:
    from aimass.core.sources.hdfs.connection import HdfsConnection

HINT = "Look into the NameNode's log, then retry"
BUFFERED_BYTES = 64 << 20


class WebClient:
    """A file system over HTTP.

    Parameters
    ----------
    connection : HdfsConnection
        Where it is.
    """

    def __init__(self, connection: HdfsConnection) -> None:
        try:
            import requests
            import urllib3
            from fsspec.implementations.webhdfs import WebHDFS
        except ImportError:
            raise MissingDependencyError("requests", extra="hdfs") from None
        self._address = connection.address
        self._broken = (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError)
        self._refused = requests.HTTPError
        host, _, port = self._address.rpartition(":")
        self._files = WebHDFS(
            host,
            int(port),
            user=None if connection.kerberos or connection.token else connection.user,
            password=connection.password.get_secret_value() if connection.password else None,
            token=connection.token.get_secret_value() if connection.token else None,
            kerberos=connection.kerberos,
            use_https=connection.tls,
            session_verify=connection.ca_file or True,
            skip_instance_cache=True,
        )
        session = self._files.session
        session.request = functools.partial(session.request, timeout=connection.timeout_s)

    def status(self, path: str) -> Entry:
        """Return what stands at `path`."""
        found = self._json("GETFILESTATUS", path, f"looking for {path}")
        return _entry(path, found["FileStatus"])

    def children(self, folder: str) -> list[Entry]:
        """Return what lies directly in `folder`."""
        found = self._json("LISTSTATUS", folder, f"listing {folder}")["FileStatuses"]["FileStatus"]
        return [_entry(f"{folder.rstrip('/')}/{one['pathSuffix']}".rstrip("/"), one) for one in found]

    def is_open(self, entry: Entry) -> bool:
        """Return whether a file that is perhaps open is still being written."""
        found = self._json("GET_BLOCK_LOCATIONS", entry.path, f"looking at {entry.path}")
        return bool(found["LocatedBlocks"]["isUnderConstruction"])

    def open(self, path: str, size: int) -> IO[bytes]:
        """Open the first `size` bytes of a file: seekable, and reading ahead."""
        return cast("IO[bytes]", ReadAhead(functools.partial(self._range, path), size))

    def fetch(self, path: str, size: int) -> bytes:
        """Return the first `size` bytes of a small file."""
        content = self._range(path, 0, size)
        if len(content) != size:
            why = f"{len(content):,} bytes came where {size:,} were listed"
            raise unreachable(self._address, doing=f"reading {path}", why=why)
        return content

    def create(self, path: str) -> IO[bytes]:
        """Open a new file for writing, with its folders."""
        return cast("IO[bytes]", _Upload(self, path))

    def put(self, path: str, content: IO[bytes]) -> None:
        """Write a file."""
        with self._translated(f"writing {path}"):
            # The NameNode answers with the address of a DataNode, which is given the bytes.
            asked = self._files._call("CREATE", "put", path=path, redirect=False, overwrite="true")
            self._files.session.put(asked.headers["Location"], data=content).raise_for_status()

    def rename(self, path: str, target: str) -> None:
        """Move a file; it replaces one that stands at `target`."""
        with self._translated(f"renaming {path}"):
            self._files._call("RENAME", "put", path=path, destination=target, renameoptions="OVERWRITE")

    def delete(self, path: str) -> None:
        """Delete a file or a folder with all that is in it."""
        with self._translated(f"deleting {path}"):
            self._files._call("DELETE", "delete", path=path, recursive="true")

    def _json(self, operation: str, path: str, doing: str) -> Any:
        with self._translated(doing):
            return self._files._call(operation, path=path).json()

    def _range(self, path: str, start: int, stop: int) -> bytes:
        with self._translated(f"reading {path}"):
            asked = self._files._call("OPEN", path=path, redirect=False, offset=start, length=stop - start)
            if "Location" not in asked.headers:
                # A gateway (HttpFS) sends the bytes itself.
                return bytes(asked.content)
            with self._files.session.get(asked.headers["Location"], stream=True) as answer:
                answer.raise_for_status()
                return bytes(answer.raw.read(stop - start))

    @contextlib.contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        # What is raised here may have a token in its URL, so it does not go along as a cause.
        try:
            yield
        except (FileNotFoundError, AimassError):
            raise
        except PermissionError as error:
            raise _refusal(error, doing) from None
        except self._refused as error:
            is_refusal = error.response is not None and error.response.status_code in (401, 403)
            raise (_refusal(error, doing) if is_refusal else self._silence(error, doing)) from None
        except self._broken as error:
            raise self._silence(error, doing) from None
        except (OSError, RuntimeError, ValueError) as error:
            raise translated(error, doing=doing, hint=HINT) from None

    def _silence(self, error: Exception, doing: str) -> UnreachableError:
        return unreachable(self._address, doing=doing, why=error)


class _Upload(io.RawIOBase):
    """A file that is sent when it is closed; it waits in memory, a large one on the local disk."""

    def __init__(self, client: WebClient, path: str) -> None:
        super().__init__()
        self._client = client
        self._path = path
        self._content = tempfile.SpooledTemporaryFile(max_size=BUFFERED_BYTES)  # noqa: SIM115 - closed with this file

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """Add `data`."""
        return self._content.write(data)

    def close(self) -> None:
        """Send it."""
        if not self.closed:
            super().close()
            with self._content as content:
                content.seek(0)
                self._client.put(self._path, content)


def _refusal(error: Exception, doing: str) -> NotAllowedError:
    return NotAllowedError(
        f"HDFS refused {doing}: {first_line(error)}",
        hint="Grant the user of the connection access to it; check its password, token or Kerberos ticket",
    )


def _entry(path: str, found: dict[str, Any]) -> Entry:
    return Entry(
        path=path,
        size=found["length"],
        is_folder=found["type"] == "DIRECTORY",
        changed_ms=found["modificationTime"],
        accessed_ms=found["accessTime"],
        block_bytes=found["blockSize"] or 1,
    )
