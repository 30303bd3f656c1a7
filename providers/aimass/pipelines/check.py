"""Check a pipeline against the stages themselves, and remember which files were found good.

The stages' configurations live beside code that imports polars and pyarrow: a check costs about half a second. Airflow
parses every file again and again, so the verdict "good" is kept, under the digest of the file and of our own code;
"bad" is never kept, since installing a package may cure it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aimass
from aimass.core.errors import AimassError, ConfigError
from aimass.hooks.options import default_store, option
from aimass.operators.sections import check_stage_config
from aimass.pipelines.load import PipelineError, key_lines
from aimass.pipelines.model import Pipeline, StageSection
from aimass.pipelines.schedule import pipeline_schedule_mistakes


def check_pipeline(pipeline: Pipeline, file: Path) -> None:
    """Check every section against the stage that it configures.

    Raises
    ------
    PipelineError
        All mistakes of all sections, each with its key and line in the file.
    """
    mistakes = [mistake for section in pipeline.sections() for mistake in _mistakes(section)]
    mistakes += [*pipeline_schedule_mistakes(pipeline), *_compute_mistakes(pipeline.compute)]
    mistakes += [mistake for index, entry in enumerate(pipeline.notify) for mistake in notice_mistakes(index, entry)]
    if pipeline.approval is not None and pipeline.release is None:
        mistakes.append(("approval", "there is nothing to approve: add the section release, or leave this key out"))
    if mistakes:
        raise PipelineError(file, mistakes, key_lines(file))


def check_once(pipeline: Pipeline, file: Path) -> None:
    """Check `file` unless the same content was found good by the same code before."""
    seal = cache_file(file.read_bytes())
    if seal.exists():
        return
    check_pipeline(pipeline, file)
    # A folder that cannot be written costs time, nothing else.
    with contextlib.suppress(OSError):
        seal.parent.mkdir(parents=True, exist_ok=True)
        seal.touch()


def _mistakes(section: StageSection) -> list[tuple[str, str]]:
    where = f"the section of {section.stage!r}"
    try:
        fixed = section.fixed if section.stage != "ingest" else ()
        check_stage_config(section.stage, section.config, fixed=fixed, where=where)
    except ConfigError as error:
        place = next(iter(section.keys))
        found = error.details.get("mistakes", [])
        if error.message.startswith(f"In {where}:"):
            return [(section.written(key), text) for key, text in found]
        # A backend found it in its own settings: those are written below the section's first key.
        kind = error.message.partition(":")[0]
        return [(f"{place}.{key}", f"{text}; {kind[0].lower()}{kind[1:]}") for key, text in found] or [
            (place, str(error))
        ]
    return []


def _compute_mistakes(compute: str | dict[str, Any]) -> list[tuple[str, str]]:
    from aimass.core.backends import backend_of
    from aimass.core.compute import COMPUTES

    try:
        backend_of(COMPUTES, {"type": compute} if isinstance(compute, str) else compute)
    except ConfigError as error:
        return [("compute", str(error))]
    return []


def notice_mistakes(index: int, entry: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong with the entry of ``notify`` at `index`, by key."""
    from aimass.notifications.delivery import Delivery

    try:
        Delivery(entry)
    except AimassError as error:
        found = error.details.get("mistakes") or [("", str(error))]
        return [(f"notify.{index}.{key}".rstrip("."), text) for key, text in found]
    return []


def cache_file(*parts: bytes) -> Path:
    """Return the file that remembers what our code, as it is now, made of `parts`."""
    digest = hashlib.sha256()
    for part in (*parts, *(line.encode() for line in _code_fingerprint())):
        digest.update(part)
    folder = option("check_cache") or os.path.join(os.path.dirname(default_store()), ".aimass-checked")
    return Path(folder) / digest.hexdigest()


def _code_fingerprint() -> Iterator[str]:
    """Yield what changes whenever our code does: in a checkout, a saved file; after an upgrade, the version."""
    yield aimass.__version__
    for folder, _, names in os.walk(os.path.join(os.path.dirname(aimass.__file__), "core")):
        for name in sorted(names):
            if name.endswith(".py"):
                yield f"{name}{os.stat(os.path.join(folder, name)).st_mtime_ns}"
