"""Which files a chain of positions has read, kept small: names packed together, short digests of the versions."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aimass.core.sources.file_access import SourceFile

DIGEST_BYTES = 8


@dataclass(frozen=True)
class Difference:
    """How a listing differs from what was seen.

    Attributes
    ----------
    new, changed : list of SourceFile
        Files that were not seen, or were seen with other bytes.
    gone : list of str
        Names of files that were seen and are not listed.
    """

    new: list[SourceFile]
    changed: list[SourceFile]
    gone: list[str]


class SeenFiles:
    """Files by name, each with the version that was read.

    Parameters
    ----------
    digests : dict of str to bytes
        What they were.
    """

    def __init__(self, digests: dict[str, bytes]) -> None:
        self._digests = digests

    @classmethod
    def unpack(cls, document: dict[str, str] | None) -> SeenFiles:
        """Return what `pack` made; nothing where None."""
        if document is None:
            return cls({})
        names = json.loads(zlib.decompress(base64.b64decode(document["names"])))
        digests = base64.b64decode(document["versions"])
        return cls({name: digests[at * DIGEST_BYTES :][:DIGEST_BYTES] for at, name in enumerate(names)})

    def pack(self) -> dict[str, str]:
        """Return a JSON-able document: about 15 bytes a file where names resemble each other."""
        names = sorted(self._digests)
        text = json.dumps(names, ensure_ascii=False, separators=(",", ":")).encode()
        versions = b"".join(self._digests[name] for name in names)
        return {
            "names": base64.b64encode(zlib.compress(text, 9)).decode(),
            "versions": base64.b64encode(versions).decode(),
        }

    def compare(self, listed: Sequence[SourceFile]) -> Difference:
        """Return how `listed` differs. A file without bytes is not there yet, but is not gone either."""
        filled = [file for file in listed if file.bytes]
        seen = self._digests
        return Difference(
            new=[file for file in filled if file.name not in seen],
            changed=[file for file in filled if file.name in seen and seen[file.name] != _digest(file)],
            gone=sorted(seen.keys() - {file.name for file in listed}),
        )

    def after(self, read: Sequence[SourceFile], gone: Sequence[str] = ()) -> SeenFiles:
        """Return what is seen once the files of `read` are read, too, and those of `gone` are forgotten."""
        kept = {name: digest for name, digest in self._digests.items() if name not in set(gone)}
        return SeenFiles(kept | {file.name: _digest(file) for file in read if file.bytes})


def as_position(files: Sequence[SourceFile], before: SeenFiles | None = None) -> dict[str, Any]:
    """Return the position that consists of `files`; `before` is what earlier ones held."""
    first = files[0]
    return {
        "folder": first.uri.removesuffix(f"/{first.name}"),
        "files": [[file.name, file.bytes, file.version] for file in files],
        "before": before.pack() if before else None,
    }


def files_of(position: Any, key: str = "files") -> list[SourceFile]:
    """Return the files of a position."""
    folder = position["folder"]
    return [
        SourceFile(uri=f"{folder}/{name}", name=name, bytes=size, version=version)
        for name, size, version in position[key]
    ]


def _digest(file: SourceFile) -> bytes:
    return hashlib.blake2b(f"{file.bytes} {file.version}".encode(), digest_size=DIGEST_BYTES).digest()
