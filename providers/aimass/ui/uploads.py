"""Files that people upload: kept in the store under their content's digest, so the same file twice is one file."""

from __future__ import annotations

import re
import shutil
from typing import IO

from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, EmptyDataError, from_os_error
from aimass.core.storage import file_digest
from aimass.hooks.allow import uploads_folder
from aimass.hooks.options import option

DIGEST_DIGITS = 32
LIMIT_MB = 1024
NAME_CHARACTERS = 100


def save_upload(deps: Deps, stream: IO[bytes], name: str) -> str:
    """Keep what `stream` holds as a file called `name`; return its URI.

    Raises
    ------
    EmptyDataError
        It is empty.
    ConfigError
        It is larger than ``[aimass] upload_limit_mb``.
    StorageFullError, UnreachableError
        The store cannot take it.
    """
    staged = deps.store.staging_file(f"{uploads_folder(deps.store.root)}/upload")
    try:
        with staged.open("wb") as target:
            shutil.copyfileobj(stream, target, 1 << 20)
        refuse_too_long(staged.stat().st_size)
        if not staged.stat().st_size:
            raise EmptyDataError(f"The file {name!r} is empty", expected="a table with a header and rows")
        # Three levels deep only: garbage collection takes deeper folders for stages' outputs.
        uri = f"{uploads_folder(deps.store.root)}/{file_digest(staged)[:DIGEST_DIGITS]}/{safe_file_name(name)}"
        if not deps.store.exists(uri):
            deps.store.upload(staged, uri)
    except OSError as error:
        raise from_os_error(error, doing=f"keeping {name!r}") from error
    finally:
        staged.unlink(missing_ok=True)
    return uri


def upload_limit_mb() -> int:
    """Return the greatest size of an upload, in MB."""
    return int(option("upload_limit_mb") or LIMIT_MB)


def refuse_too_long(size_bytes: int) -> None:
    """Raise ConfigError where an upload of that size is not taken."""
    limit = upload_limit_mb()
    if size_bytes > limit * 1_000_000:
        raise ConfigError(
            f"The file is larger than {limit:,} MB",
            expected="at most [aimass] upload_limit_mb",
            hint="Put it where Airflow can read it, and name its path instead",
        )


def safe_file_name(name: str) -> str:
    """Return `name` without folders and without characters that have a meaning in paths or patterns."""
    bare = re.split(r"[/\\]", name)[-1]
    kept = "".join(char if char.isalnum() or char in "._-" else "_" for char in bare).lstrip(".")
    stem, dot, endings = kept.partition(".")
    return (stem[:NAME_CHARACTERS] or "file") + dot + endings[-30:]
