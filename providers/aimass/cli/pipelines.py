"""`airflow aimass pipeline list|validate`."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path

from aimass.cli.console import Exit, command, say, say_json, table
from aimass.cli.files import folder_of, say_verdicts
from aimass.core.errors import AimassError, NotFoundError, UnknownNameError
from aimass.pipelines.check import check_pipeline
from aimass.pipelines.load import PipelineError, as_pipeline_error, load_pipeline, pipeline_files
from aimass.pipelines.model import Pipeline


@command
def list(args: Namespace) -> Exit:
    """Print one line for each pipeline file."""
    rows = []
    for file in pipeline_files(folder_of("pipelines", args.pipelines)):
        try:
            pipeline = load_pipeline(file)
        except AimassError as error:
            rows.append({"name": file.stem, "file": str(file), "schedule": None, "state": f"broken: {error}"})
            continue
        rows.append(
            {"name": pipeline.name, "file": str(file), "schedule": pipeline.schedule, "state": _summary(pipeline)}
        )
    if args.json:
        say_json(rows)
    elif rows:
        table(
            ["name", "schedule", "what", "file"],
            [[r["name"], r["schedule"] or "-", r["state"], r["file"]] for r in rows],
        )
    else:
        say(f"No pipeline files in {folder_of('pipelines', args.pipelines)}; airflow aimass pipeline new writes one.")
    return Exit.OK


@command
def validate(args: Namespace) -> Exit:
    """Check files down to the last key of every stage; say which mistakes stand where."""
    verdicts = [(file, _mistakes(file)) for file in _chosen(args.name, args.pipelines)]
    return say_verdicts(verdicts, as_json=args.json)


def find_pipeline(name: str, folder: Path) -> Path:
    """Return the file of the pipeline called `name`, which may be a path.

    Raises
    ------
    NotFoundError, UnknownNameError
        There is none; the message lists those that exist.
    """
    if Path(name).suffix and Path(name).exists():
        return Path(name)
    files = {file.stem: file for file in pipeline_files(folder)}
    for file in list_names(files.values()):
        files.setdefault(file[0], file[1])
    stem = name.removesuffix(".yaml").removesuffix(".yml").removeprefix("aimass_")
    if stem not in files:
        if not files:
            raise NotFoundError(f"There are no pipeline files in {folder}", hint="Name the folder with --pipelines")
        raise UnknownNameError("pipeline", stem, files)
    return files[stem]


def list_names(files: Iterable[Path]) -> Iterable[tuple[str, Path]]:
    """Return the name written in each file that can be read."""
    found = []
    for file in [*files]:
        try:
            found.append((load_pipeline(file).name, file))
        except AimassError:
            continue
    return found


def _chosen(names: Iterable[str], chosen: str | None) -> Iterable[Path]:
    folder = folder_of("pipelines", chosen)
    files = [find_pipeline(name, folder) for name in names] or pipeline_files(folder)
    if not files:
        raise NotFoundError(f"There are no pipeline files in {folder}", hint="Name the folder with --pipelines")
    return files


def _mistakes(file: Path) -> Sequence[tuple[str, str]]:
    try:
        check_pipeline(load_pipeline(file), file)
    except AimassError as error:
        found: PipelineError = as_pipeline_error(file, error)
        return found.mistakes
    return []


def _summary(pipeline: Pipeline) -> str:
    ends = "searched" if pipeline.optimize is not None else "trained"
    released = f", released as {pipeline.release.get('name', pipeline.name)}" if pipeline.release is not None else ""
    return f"{pipeline.target.get('name', 'target')} from {', '.join(pipeline.sources)}: {ends}{released}"
