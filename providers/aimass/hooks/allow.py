"""The trust boundary of a trigger: what a `conf` may name.

Who may trigger a DAG is not who may do anything. YAML and DAG files are written by people who may change the code
anyway; a `conf` may come from anybody with the trigger permission, so it may name only what ``[aimass]`` allows.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn
from urllib.parse import unquote

from aimass.core.errors import NotAllowedError
from aimass.hooks.options import option_list

_LOOKS_LIKE_PATH = re.compile(r"^(/|~|\.\.?/|[A-Za-z]:[\\/]|[A-Za-z][A-Za-z0-9+.-]*:/)|::")
_LOOKS_LIKE_IMPORT = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")
_PATH_KEYS = re.compile(r"(^|_)(uri|url|path|paths|file|files|folder|dir|root|location)$")
_CONNECTION_KEYS = re.compile(r"(^|_)(conn_id|connection)$")
_IMPORT_KEYS = re.compile(r"(^|_)(import|class|callable|module|factory)$")

UPLOADS = "uploads"
WILDCARDS = frozenset("*?[")


@dataclass(frozen=True)
class AllowList:
    """What a trigger's `conf` may name.

    Attributes
    ----------
    roots : sequence of str
        Folders or URI prefixes below which paths may lie.
    connections : sequence of str
        Connection ids.
    import_prefixes : sequence of str
        Python packages from which classes may be imported.
    """

    roots: Sequence[str] = ()
    connections: Sequence[str] = ()
    import_prefixes: Sequence[str] = ()

    @classmethod
    def from_options(cls) -> AllowList:
        """Read the lists from ``[aimass]``."""
        return cls(
            roots=option_list("allowed_roots"),
            connections=option_list("allowed_connections"),
            import_prefixes=option_list("allowed_import_prefixes"),
        )

    @classmethod
    def for_forms(cls) -> AllowList:
        """Return the same for the forms of ingest: they exist to be filled in with a connection's id."""
        own = cls.from_options()
        return replace(own, connections=[*own.connections, *option_list("form_connections")])

    def with_uploads(self, store: str, *values: str) -> AllowList:
        """Return the same, and besides the folder of `store` that our page uploads files into.

        It stays closed where one of `values` is a pattern, which could name everybody's files.
        """
        is_pattern = any(set(value) & WILDCARDS for value in values)
        return self if is_pattern else replace(self, roots=[*self.roots, uploads_folder(store)])

    def check_location(self, value: str, *, where: str) -> None:
        """Raise NotAllowedError unless the path or URI `value` lies below an allowed root."""
        self._check_root(value, where)

    def check_connection(self, conn_id: str, *, where: str) -> None:
        """Raise NotAllowedError unless a conf may name the connection."""
        self._check_connection(conn_id, where)

    def check(self, document: Any, *, where: str) -> None:
        """Raise NotAllowedError when `document`, taken from a `conf`, names something that is not allowed.

        A value counts as a path or import by its key (``uri``, ``path``, ``class`` …) or by its looks (``/x``, ``s3://x``).
        """
        for key, path, value in _strings(document, where):
            if _CONNECTION_KEYS.search(key):
                self._check_connection(value, path)
            elif _IMPORT_KEYS.search(key) or _LOOKS_LIKE_IMPORT.match(value):
                self._check_import(value, path)
            elif _PATH_KEYS.search(key) or _LOOKS_LIKE_PATH.search(value):
                self._check_root(value, path)

    def _check_connection(self, value: str, path: str) -> None:
        if value not in self.connections:
            _refuse("connection", value, path, "allowed_connections", self.connections)

    def _check_import(self, value: str, path: str) -> None:
        module = value.partition(":")[0]
        if not any(module == prefix or module.startswith(f"{prefix}.") for prefix in self.import_prefixes):
            _refuse("import path", value, path, "allowed_import_prefixes", self.import_prefixes)

    def _check_root(self, value: str, path: str) -> None:
        normal = _normal(value)
        roots = [root for root in map(_normal, self.roots) if root is not None]
        if normal is None or not any(normal == root or normal.startswith(f"{root.rstrip('/')}/") for root in roots):
            _refuse("path", value, path, "allowed_roots", self.roots)


def uploads_folder(store: str) -> str:
    """Return the URI of the folder below the store's root that our page uploads files into."""
    return f"{store.rstrip('/')}/{UPLOADS}"


def _refuse(kind: str, value: str, path: str, list_name: str, known: Sequence[str]) -> NoReturn:
    raise NotAllowedError(
        f"The conf names the {kind} {value!r} at {path}",
        expected=f"one allowed by [aimass] {list_name}",
        known=known,
        hint=f"Write it into the pipeline's YAML instead, or ask an administrator to extend {list_name}",
        key=path,
        value=value,
    )


def _strings(document: Any, path: str, key: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield ``(nearest key, dotted path, value)`` of every string in `document`."""
    if isinstance(document, str):
        yield key, path, document
    elif isinstance(document, Mapping):
        for name, value in document.items():
            yield from _strings(value, f"{path}.{name}", str(name))
    elif isinstance(document, (list, tuple)):
        for index, value in enumerate(document):
            yield from _strings(value, f"{path}.{index}", key)


def _normal(uri: str) -> str | None:
    """Return `uri` in one comparable form, or None when it could climb out of where it seems to be."""
    if "::" in uri or ".." in unquote(uri).replace("\\", "/").split("/"):
        return None
    scheme, mark, rest = uri.partition("://")
    if not mark or scheme == "file":
        # A link inside an allowed folder must not lead out of it.
        return "file://" + os.path.realpath(os.path.expanduser(rest if mark else uri))
    return f"{scheme.lower()}://{posixpath.normpath(rest)}"
