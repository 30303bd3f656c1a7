"""`airflow aimass monitor check`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from aimass.cli.console import Exit, command
from aimass.cli.files import folder_of, say_verdicts
from aimass.core.errors import AimassError, NotFoundError
from aimass.pipelines.load import as_pipeline_error, pipeline_files
from aimass.pipelines.monitors import load_watch


@command
def check(args: Namespace) -> Exit:
    """Check watch files down to the last key; say which mistakes stand where."""
    folder = folder_of("alerts", args.alerts)
    files = [_named(name, folder) for name in args.name] or pipeline_files(folder)
    if not files:
        raise NotFoundError(f"There are no watch files in {folder}", hint="Name the folder with --alerts")
    return say_verdicts([(file, _mistakes(file)) for file in files], as_json=args.json)


def _named(name: str, folder: Path) -> Path:
    """Return the file called `name`, which may be a path."""
    if Path(name).suffix and Path(name).exists():
        return Path(name)
    files = {file.stem: file for file in pipeline_files(folder)}
    stem = Path(name).stem
    if stem not in files:
        raise NotFoundError(f"There is no watch file {name!r} in {folder}", known=files)
    return files[stem]


def _mistakes(file: Path) -> list[tuple[str, str]]:
    try:
        load_watch(file)
    except AimassError as error:
        return as_pipeline_error(file, error).mistakes
    return []
