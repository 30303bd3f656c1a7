"""Read a YAML file; every mistake names the file, the line, the key and the nearest valid name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from aimass.core.errors import AimassError, ConfigError, NotFoundError, from_os_error
from aimass.core.settings import parse_settings
from aimass.pipelines.document import Document, DocumentError, parse_document
from aimass.pipelines.model import Pipeline

SUFFIXES = (".yaml", ".yml")

S = TypeVar("S", bound=BaseModel)


class PipelineError(ConfigError):
    """A file of a pipeline, or of a watch, that cannot be used.

    Attributes
    ----------
    file : Path
        The file.
    mistakes : list of (key, text)
        Each mistake; the key is empty where the file is no YAML at all.
    """

    def __init__(self, file: Path, mistakes: Sequence[tuple[str, str]], lines: dict[str, int] | None = None) -> None:
        self.file = file
        self.mistakes = [(key, text + _line(key, lines or {})) for key, text in mistakes]
        told = "; ".join(f"{key}: {text}" if key else text for key, text in self.mistakes)
        super().__init__(f"{file.name}: {told}", file=str(file), mistakes=self.mistakes)


def pipeline_files(folder: Path) -> list[Path]:
    """Return the YAML files in `folder`, sorted; hidden ones are left out."""
    try:
        found = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise from_os_error(error, doing="listing pipelines") from error
    return [file for file in found if file.suffix in SUFFIXES and not file.name.startswith(".")]


def load_pipeline(file: Path) -> Pipeline:
    """Read a pipeline's file; the stages' own keys are checked by `aimass.pipelines.check`. Errors: `load_settings`."""
    return load_settings(file, Pipeline)


def load_settings(file: Path, model: type[S]) -> S:
    """Read one file as what `model` describes.

    Raises
    ------
    PipelineError
        The file is not YAML, or a key is unknown, missing or has an impossible value.
    NotFoundError
        There is no such file.
    """
    document, lines = _parse(file, _text(file))
    if not isinstance(document, dict):
        raise PipelineError(file, [("", f"holds {type(document).__name__}, expected a mapping of keys to values")])
    try:
        return parse_settings(model, document, where=file.name)
    except ConfigError as error:
        raise PipelineError(file, error.details["mistakes"], lines) from None


def key_lines(file: Path) -> dict[str, int]:
    """Return the line of every key in `file`, by dotted path."""
    return _parse(file, _text(file)).lines


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PipelineError(file, [("", f"is not UTF-8: {error.reason} at byte {error.start}")]) from None
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {file}") from None
    except OSError as error:
        raise from_os_error(error, doing=f"reading {file}") from error


def _parse(file: Path, text: str) -> Document:
    try:
        return parse_document(text)
    except DocumentError as error:
        raise PipelineError(file, [(error.key, str(error))]) from None


def _line(key: str, lines: dict[str, int]) -> str:
    """Return the line of `key`, or of the nearest key that stands above it."""
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return f" (line {lines[key]})" if key else ""


def as_pipeline_error(file: Path, error: AimassError) -> PipelineError:
    """Return any error of the engine met while reading `file` as one about the file."""
    return error if isinstance(error, PipelineError) else PipelineError(file, [("", str(error))])
