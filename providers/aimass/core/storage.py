"""URIs to file systems, and the two ways in which bytes become visible: replaced whole, or created once.

Anything that fsspec and universal-pathlib open works (``file://``, ``memory://``, ``s3://`` …). ``package://<distribution>/<file>``
names a file that an installed Python distribution ships, found without importing it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import IO, Any, cast

from upath import UPath

from aimass.core.errors import ConfigError, CorruptDataError, NotFoundError, from_os_error, nearest_name

PACKAGE_SCHEME = "package://"
OPTIONS_VARIABLE = "AIMASS_STORAGE_OPTIONS"
"""Environment variable with a store's options as JSON: they hold secrets, which a command line would show."""
HASH_BLOCK_BYTES = 1 << 20


def options_of_environment() -> dict[str, dict[str, Any]]:
    """Return a store's options from the environment; none where the variable is not set.

    Raises
    ------
    ConfigError
        It holds something else than a mapping of mappings.
    """
    text = os.environ.get(OPTIONS_VARIABLE) or "{}"
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(options, dict) for options in found.values()):
        # What it holds may be a secret, and is not told.
        raise ConfigError(
            f"{OPTIONS_VARIABLE} cannot be read",
            expected='JSON such as {"s3://lake": {"endpoint_url": "https://…", "key": "…", "secret": "…"}}',
        )
    return found


class Store:
    """The folder under which every dataset and artifact lives, and the door to other URIs.

    Parameters
    ----------
    root : str
        URI or path under which outputs are written.
    options : mapping, optional
        ``{uri_prefix: {option: value}}`` for fsspec, such as endpoints and credentials; the longest prefix wins.
    spool_dir : str, optional
        Local folder in which files of remote stores are staged and cached.

    Notes
    -----
    Safe to share between threads. Two processes may publish the same URI: `publish` lets the last one win,
    `publish_once` the first.
    """

    def __init__(
        self,
        root: str,
        *,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        spool_dir: str | None = None,
    ) -> None:
        self.root = as_uri(root).rstrip("/")
        self._options = dict(options or {})
        self.spool_dir = Path(spool_dir or os.path.join(tempfile.gettempdir(), f"aimass-spool-{os.getuid()}"))

    def folder(self, *parts: str) -> str:
        """Return the URI of a folder below the root."""
        return "/".join([self.root, *parts])

    def path(self, uri: str) -> UPath:
        """Return `uri` as a universal path, with the options that belong to it."""
        uri = as_uri(uri)
        prefixes = [prefix for prefix in self._options if uri.startswith(prefix)]
        options = self._options[max(prefixes, key=len)] if prefixes else {}
        path: UPath = UPath(uri, **options)
        return path

    def is_local(self, uri: str) -> bool:
        """Return whether `uri` is a file of this machine."""
        return as_uri(uri).startswith("file://")

    def local_path(self, uri: str) -> Path:
        """Return the path of a local `uri`."""
        return Path(self.path(uri).path)

    def exists(self, uri: str) -> bool:
        """Return whether a file or folder stands at `uri`."""
        with _translated(f"looking for {uri}"):
            return bool(self.path(uri).exists())

    def read_bytes(self, uri: str) -> bytes:
        """Return the whole content of `uri`; for small files such as manifests."""
        with _translated(f"reading {uri}"):
            return self.path(uri).read_bytes()

    def read_json(self, uri: str) -> Any:
        """Return the JSON document at `uri`."""
        try:
            return json.loads(self.read_bytes(uri))
        except ValueError as error:
            raise CorruptDataError(f"{uri} is not JSON: {error}", uri=uri) from error

    def open(self, uri: str) -> IO[bytes]:
        """Open `uri` for streaming reads."""
        with _translated(f"opening {uri}"):
            return cast("IO[bytes]", self.path(uri).open("rb"))

    def publish(self, uri: str, data: bytes) -> None:
        """Write `data` at `uri` in one visible act, replacing what was there."""
        with _translated(f"writing {uri}"):
            if not self.is_local(uri):
                self.path(uri).write_bytes(data)
                return
            target = self.local_path(uri)
            with _durable_temporary(target, data) as temporary:
                os.replace(temporary, target)

    def publish_once(self, uri: str, data: bytes) -> bool:
        """Write `data` at `uri` unless something stands there already; return whether this call wrote it.

        Notes
        -----
        Atomic on local file systems (hard link), and where fsspec's file system can create a file only if there is
        none. Elsewhere nothing but a check precedes the write, so of two writers that meet in between the last wins.
        """
        with _translated(f"writing {uri}"):
            if not self.is_local(uri):
                return _created(self.path(uri), data)
            target = self.local_path(uri)
            with _durable_temporary(target, data) as temporary:
                try:
                    os.link(temporary, target)
                except FileExistsError:
                    return False
                return True

    def upload(self, source: Path, uri: str) -> None:
        """Move the local file `source` to `uri`, in one visible act."""
        with _translated(f"writing {uri}"):
            if self.is_local(uri):
                target = self.local_path(uri)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, target) if _same_device(source, target.parent) else _copy_into(source, target)
                return
            with source.open("rb") as reader, self.path(uri).open("wb") as writer:
                shutil.copyfileobj(reader, writer, HASH_BLOCK_BYTES)
            source.unlink()

    def staging_file(self, uri: str, suffix: str = "") -> Path:
        """Return a fresh local path near `uri`, to be filled and then handed to `upload`."""
        name = f".staging-{uuid.uuid4().hex}{suffix}"
        with _translated(f"preparing {uri}"):
            folder = self.local_path(uri).parent if self.is_local(uri) else self.spool_dir
            folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def localize(self, uri: str, *, sha256: str | None = None) -> Path:
        """Return a local path with the bytes of `uri`; remote files are fetched once and cached by digest.

        Raises
        ------
        CorruptDataError
            The bytes do not have the digest that was recorded for them.
        """
        with _translated(f"reading {uri}"):
            if self.is_local(uri):
                path = self.local_path(uri)
                if not path.exists():
                    raise NotFoundError(f"{uri} does not exist", uri=uri)
                return path
            name = sha256 or hashlib.sha256(uri.encode()).hexdigest()
            cached = self.spool_dir / f"{name}{Path(uri).suffix}"
            if sha256 is None or not cached.exists():
                self._fetch(uri, cached, sha256)
            return cached

    def _fetch(self, uri: str, cached: Path, sha256: str | None) -> None:
        self.spool_dir.mkdir(parents=True, exist_ok=True)
        temporary = cached.with_name(f".fetch-{uuid.uuid4().hex}")
        try:
            with self.path(uri).open("rb") as reader, temporary.open("wb") as writer:
                shutil.copyfileobj(reader, writer, HASH_BLOCK_BYTES)
            if sha256 is not None and file_digest(temporary) != sha256:
                raise CorruptDataError(f"{uri} does not have its recorded digest", expected=f"sha256 {sha256}", uri=uri)
            os.replace(temporary, cached)
        finally:
            temporary.unlink(missing_ok=True)

    def list(self, uri: str) -> list[str]:
        """Return the names directly below the folder `uri`, sorted; empty when there is no such folder."""
        with _translated(f"listing {uri}"):
            folder = self.path(uri)
            return sorted(child.name for child in folder.iterdir()) if folder.exists() else []

    def glob(self, pattern: str) -> Sequence[str]:
        """Return the URIs that match `pattern` (itself when it has no wildcard), sorted."""
        if not any(mark in pattern for mark in "*?["):
            return [as_uri(pattern)]
        scheme, _, rest = as_uri(pattern).partition("://")
        fixed = rest.split("*")[0].split("?")[0].split("[")[0]
        base, _, _ = fixed.rpartition("/")
        with _translated(f"listing {pattern}"):
            found = self.path(f"{scheme}://{base}").glob(rest[len(base) + 1 :])
            return sorted(as_uri(str(path)) for path in found if path.is_file())

    def delete(self, uri: str) -> None:
        """Delete the file or folder at `uri`; deleting nothing is fine."""
        with _translated(f"deleting {uri}"):
            path = self.path(uri)
            # Whoever else deletes it may be a moment faster.
            with contextlib.suppress(FileNotFoundError):
                if path.exists():
                    path.fs.rm(path.path, recursive=True)


def as_uri(path: str) -> str:
    """Return `path` as a URI: local paths get ``file://``, ``package://`` becomes the file it names."""
    if path.startswith(PACKAGE_SCHEME):
        return _package_file(path)
    if "://" in path:
        return path
    return "file://" + os.path.abspath(os.path.expanduser(path))


def _package_file(uri: str) -> str:
    name, _, inner = uri.removeprefix(PACKAGE_SCHEME).partition("/")
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise NotFoundError(
            f"The Python distribution {name!r} in {uri} is not installed", hint=f"Run: pip install {name}", uri=uri
        ) from None
    path = Path(str(found.locate_file(inner)))
    if not path.exists():
        known = [str(file) for file in found.files or [] if ".dist-info" not in str(file)]
        nearest = nearest_name(inner, known)
        hint = f"Did you mean {nearest!r}?" if nearest else None
        raise NotFoundError(f"{name} ships no file {inner!r}", known=known, hint=hint, uri=uri, nearest=nearest)
    return path.resolve().as_uri()


def file_digest(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal digits."""
    with path.open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()


def text_digest(document: Any) -> str:
    """Return the sha256 of a JSON-able document in canonical form (sorted keys, no spaces)."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise from_os_error(error, doing=doing) from error


@contextlib.contextmanager
def _durable_temporary(target: Path, data: bytes) -> Iterator[Path]:
    """Yield a synced file with `data` beside `target`; removed afterwards unless it was renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".staging-{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as writer:
            writer.write(data)
            writer.flush()
            os.fsync(writer.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _created(path: UPath, data: bytes) -> bool:
    if path.exists():
        return False
    try:
        path.fs.pipe_file(path.path, data, mode="create")
    except FileExistsError:
        return False
    return True


def _same_device(source: Path, folder: Path) -> bool:
    return source.stat().st_dev == folder.stat().st_dev


def _copy_into(source: Path, target: Path) -> None:
    temporary = target.with_name(f".staging-{uuid.uuid4().hex}")
    try:
        shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    source.unlink()
