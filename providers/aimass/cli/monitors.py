"""`airflow aimass monitor check`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from airflow.sdk import conf

from aimass.cli.console import Exit, command, complain, say, say_json
from aimass.core.errors import AimassError, NotFoundError
from aimass.hooks.options import option
from aimass.pipelines.load import as_pipeline_error, pipeline_files
from aimass.pipelines.monitors import load_watch


@command
def check(args: Namespace) -> Exit:
    """Check watch files down to the last key; say which mistakes stand where."""
    folder = folder_of(args.alerts)
    files = [_named(name, folder) for name in args.name] or pipeline_files(folder)
    if not files:
        raise NotFoundError(f"There are no watch files in {folder}", hint="Name the folder with --alerts")
    verdicts = [(file, _mistakes(file)) for file in files]
    if args.json:
        say_json(
            [
                {"file": str(file), "ok": not found, "mistakes": [{"key": key, "text": text} for key, text in found]}
                for file, found in verdicts
            ]
        )
    else:
        for file, found in verdicts:
            say(f"{file}: {'ok' if not found else 'broken'}")
            for key, text in found:
                complain(f"  {key}: {text}" if key else f"  {text}")
    return Exit.FAILED if any(found for _, found in verdicts) else Exit.OK


def folder_of(chosen: str | None) -> Path:
    """Return the folder of watch files: an option's, ``[aimass] alerts_dir``, or that beside Airflow's DAGs."""
    named = chosen or option("alerts_dir")
    if named:
        return Path(named).expanduser()
    here = Path("include/alerts")
    return here if here.is_dir() else Path(conf.get("core", "dags_folder")).parent / "include" / "alerts"


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
