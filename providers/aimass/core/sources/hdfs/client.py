"""What both protocols can do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO, Protocol

from aimass.core.errors import AimassError, CorruptDataError, NotAllowedError, TransientError, UnreachableError

EXCEPTIONS: dict[str, tuple[type[AimassError], str]] = {
    "AccessControlException": (NotAllowedError, "Grant the user of the connection access to it"),
    "AuthorizationException": (NotAllowedError, "Grant the user of the connection access to it"),
    "AuthenticationException": (NotAllowedError, "Check the connection's user, token or Kerberos ticket"),
    "InvalidToken": (NotAllowedError, "Get a new token"),
    "safe mode": (UnreachableError, "The NameNode leaves safe mode by itself once it knows its blocks; retry"),
    "StandbyException": (UnreachableError, "Name the active NameNode, or the name service of both"),
    "ChecksumError": (CorruptDataError, "Run hdfs fsck on the file, and restore it"),
    "DataTransferError": (UnreachableError, "Check that the DataNodes run, then retry"),
    "BlockMissingException": (UnreachableError, "Check that the DataNodes run, then retry"),
    "GSSAPIError": (NotAllowedError, "Check the Kerberos ticket (klist), principal and key table"),
    "SASLError": (NotAllowedError, "Check that the cluster wants Kerberos, and the connection says so"),
}
"""By a word that a server's or the client's message holds."""

RPC_ERROR = re.compile(r'^RPCError\("[\w.$]+", "')
TOKEN = re.compile(r"(delegation=)[^&\s]+")


@dataclass(frozen=True)
class Entry:
    """A file or folder as the NameNode describes it.

    Attributes
    ----------
    path : str
        From the root, with a slash in front.
    size : int
        In bytes.
    is_folder : bool
        Whether it is one.
    changed_ms, accessed_ms : int
        When it was last closed after writing, and last read, in milliseconds since 1970. Both are the time of its
        creation while it is being written for the first time.
    block_bytes : int
        Size of its blocks.
    """

    path: str
    size: int
    is_folder: bool
    changed_ms: int
    accessed_ms: int
    block_bytes: int

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def is_perhaps_open(self) -> bool:
        """Whether it may be a file that nobody has closed yet."""
        return self.size > 0 and self.changed_ms == self.accessed_ms


class HdfsClient(Protocol):
    """A file system. Each call raises FileNotFoundError, or our errors, within the connection's time."""

    def status(self, path: str) -> Entry:
        """Return what stands at `path`."""

    def children(self, folder: str) -> list[Entry]:
        """Return what lies directly in `folder`."""

    def is_open(self, entry: Entry) -> bool:
        """Return whether a file that is perhaps open is still being written."""

    def open(self, path: str, size: int) -> IO[bytes]:
        """Open the first `size` bytes of a file: seekable, and reading ahead."""

    def fetch(self, path: str, size: int) -> bytes:
        """Return the first `size` bytes of a small file."""

    def create(self, path: str) -> IO[bytes]:
        """Open a new file for writing, with its folders; an older one is replaced. It is whole once it is closed."""

    def rename(self, path: str, target: str) -> None:
        """Move a file; it replaces one that stands at `target`."""

    def delete(self, path: str) -> None:
        """Delete a file or a folder with all that is in it."""


def translated(error: BaseException, *, doing: str, hint: str) -> AimassError:
    """Return our error for one of a client's; what it says is kept to its first line.

    Parameters
    ----------
    error : Exception
        What was raised.
    doing : str
        What was tried: "reading /a".
    hint : str
        What to do where the message says nothing known.
    """
    text = str(error)
    for word, (kind, known_hint) in EXCEPTIONS.items():
        if word in text:
            return kind(f"HDFS refused {doing}: {first_line(error)}", hint=known_hint)
    return TransientError(f"HDFS failed at {doing}: {first_line(error)}", hint=hint)


def unreachable(address: str, *, doing: str, why: object) -> UnreachableError:
    """Return the error for a server that does not answer."""
    return UnreachableError(
        f"No answer from HDFS at {address} while {doing}: {first_line(why)}",
        hint="Check host, port and protocol of the connection, and that the NameNode runs; then retry",
    )


def first_line(said: object) -> str:
    """Return what is said, without the Java class around it, Java's stack and a token in a URL."""
    text = RPC_ERROR.sub("", str(said)).replace("\\n", "\n").replace('\\"', '"').split("\n")[0]
    return TOKEN.sub(r"\1…", text).strip().rstrip('")')[:500]
