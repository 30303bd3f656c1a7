"""Export: hand a dataset's rows over as plain files, of which ``_SUCCESS`` is the last."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field, field_validator

from aimass.core.backends import BackendOf, backend_of
from aimass.core.datasets import Dataset, collect, open_dataset
from aimass.core.deps import Deps
from aimass.core.destinations import DESTINATIONS
from aimass.core.destinations.base import Destination
from aimass.core.errors import ConfigError, DataError
from aimass.core.progress import ProgressEvent
from aimass.core.settings import InputUri
from aimass.core.stages.base import Output, Stage, StageConfig, StageResult
from aimass.core.storage import file_digest

MARKER = "_SUCCESS"
DIGITS = 12
EXTENSIONS = {"parquet": "parquet", "csv": "csv", "json_lines": "jsonl"}


class ExportConfig(StageConfig):
    """What to hand over, where, and how it is spelled."""

    dataset: InputUri = Field(description="The dataset.")
    destination: Annotated[dict[str, Any], BackendOf(DESTINATIONS)] = Field(
        description="The place: `type` (files, hdfs, obs) and that kind's settings."
    )
    format: Literal["parquet", "csv", "json_lines"] = Field(default="parquet", description="How the rows are spelled.")
    columns: tuple[str, ...] | None = Field(default=None, description="Only these columns, in this order.")
    on_existing: Literal["error", "replace"] = Field(
        default="error", description="Where the folder holds another export: fail, or delete that one first."
    )

    @field_validator("destination")
    @classmethod
    def _is_known(cls, value: dict[str, Any]) -> dict[str, Any]:
        backend_of(DESTINATIONS, value)
        return value


class ExportResult(StageResult):
    """What was handed over."""

    destination: dict[str, Any] = Field(default_factory=dict, description="The place, as configured.")
    folder: str = Field(default="", description="URI of the folder.")
    rows: int = Field(default=0, description="Rows written.")
    files: list[str] = Field(default_factory=list, description="Names of the files, in the order of the rows.")
    export: str = Field(default="", description="What tells this export from others of the same folder.")


def _export(config: ExportConfig, deps: Deps, output: Output) -> ExportResult:
    dataset = open_dataset(config.dataset, deps)
    dataset.require(*(config.columns or ()))
    destination = _destination(config.destination, deps)
    export = output.key[:DIGITS]
    standing = _marker(destination)
    if standing is None or standing["export"] != export:
        _make_room(destination, standing, config)
        standing = {
            "export": export,
            "dataset": dataset.manifest.digest,
            **_write(dataset, destination, config, deps, export),
        }
        deps.failpoints.hit("before_success")
        with tempfile.TemporaryDirectory(dir=_spool(deps)) as folder:
            marker = Path(folder) / MARKER
            marker.write_text(json.dumps(standing, indent=1))
            destination.write(MARKER, marker)
    output.write_file("export.json", json.dumps(standing, indent=1))
    return ExportResult(
        destination=config.destination,
        folder=destination.uri,
        rows=standing["rows"],
        files=[file["name"] for file in standing["files"]],
        export=export,
    )


def _write(dataset: Dataset, destination: Destination, config: ExportConfig, deps: Deps, export: str) -> dict[str, Any]:
    """Write all rows, a file per part of the dataset; return what the marker tells of them."""
    files, rows, total = [], 0, dataset.rows()
    with tempfile.TemporaryDirectory(dir=_spool(deps)) as folder:
        for index, frame in enumerate(_parts(dataset, config)):
            name = f"part-{export}-{index:05d}.{EXTENSIONS[config.format]}"
            path = Path(folder) / name
            _spell(frame, path, config.format)
            files.append(
                {"name": name, "rows": frame.height, "bytes": path.stat().st_size, "sha256": file_digest(path)}
            )
            destination.write(name, path)
            path.unlink()
            deps.failpoints.hit("file_exported")
            rows += frame.height
            deps.progress.report(ProgressEvent("exporting", done=rows, total=total, unit="rows"))
    return {"rows": rows, "files": files}


def _parts(dataset: Dataset, config: ExportConfig) -> Iterator[pl.DataFrame]:
    for part in dataset.slices():
        yield collect(part.select(config.columns) if config.columns else part)


def _spell(frame: pl.DataFrame, path: Path, kind: str) -> None:
    try:
        if kind == "parquet":
            frame.write_parquet(path, compression="zstd")
        elif kind == "csv":
            frame.write_csv(path)
        else:
            frame.write_ndjson(path)
    except (pl.exceptions.ComputeError, pl.exceptions.InvalidOperationError) as error:
        raise ConfigError(
            f"The rows cannot be written as {kind}: {error}",
            expected="columns of plain values",
            hint="Leave the column out with `columns`, or choose the format parquet",
        ) from error


def _make_room(destination: Destination, standing: dict[str, Any] | None, config: ExportConfig) -> None:
    """Delete an earlier export of the same folder, its marker first, so that half of it never looks whole."""
    if standing is None:
        return
    if config.on_existing == "error":
        raise DataError(
            f"{destination.uri} holds another export ({standing['export']}, {standing['rows']:,} rows)",
            expected="an empty folder, or the same dataset and format",
            hint="Choose another folder, or set on_existing to replace",
        )
    destination.delete(MARKER)
    for file in standing["files"]:
        destination.delete(file["name"])


def _marker(destination: Destination) -> dict[str, Any] | None:
    """Return what a finished export left; None where there is none."""
    data = destination.read(MARKER)
    if data is None:
        return None
    try:
        found = json.loads(data)
        return {"export": found["export"], "rows": found["rows"], "files": found["files"], **found}
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f"{destination.uri}/{MARKER} was not written by an export",
            expected="a folder of our own",
            hint="Choose another folder",
        ) from None


def _destination(document: dict[str, Any], deps: Deps) -> Destination:
    backend, settings = backend_of(DESTINATIONS, document)
    return backend(settings, deps)


def _spool(deps: Deps) -> Path:
    deps.store.spool_dir.mkdir(parents=True, exist_ok=True)
    return deps.store.spool_dir


def _still_stands(result: ExportResult, deps: Deps) -> bool:
    standing = _marker(_destination(result.destination, deps))
    return standing is not None and standing["export"] == result.export


STAGE = Stage("export", ExportConfig, ExportResult, 1, _export, verify=_still_stands)
run = STAGE.run
