"""The server's options as people give them: a YAML file, and over it the command line."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aimass.core.errors import ConfigError, from_os_error
from aimass.core.settings import parse_settings
from aimass.serving.config import ServeConfig

REPLAY_FIELDS = ("tracking_uri", "registry_uri", "store", "cache_dir")
"""The options that `replay` looks at."""


class Option(NamedTuple):
    """One option of the command line."""

    field: str
    flag: str
    help: str


def options(fields: Collection[str] = ()) -> Iterator[Option]:
    """Yield an option for each field of `ServeConfig`, or for those in `fields`."""
    for name, info in ServeConfig.model_fields.items():
        if fields and name not in fields:
            continue
        default = "" if info.default in (None, "", ()) else f" (default: {_text(info.default)})"
        several = " With commas between." if _is_list(name) else ""
        text = f"{info.description or ''}{several}{default}".replace("%", "%%")
        yield Option(name, f"--{name.replace('_', '-')}", text)


def add_options(parser: argparse.ArgumentParser, fields: Collection[str] = ()) -> None:
    """Add every option, or those of `fields`, and ``--config`` for a file of them."""
    parser.add_argument("--config", help="YAML file with the options below, by their names with underscores")
    for option in options(fields):
        parser.add_argument(option.flag, dest=option.field, help=option.help)


def read_config(given: argparse.Namespace, defaults: Mapping[str, Any] | None = None) -> ServeConfig:
    """Return the options: the command line's over the file's over `defaults`.

    Raises
    ------
    ConfigError
        One is unknown or impossible, or the file cannot be read.
    """
    document = {**(defaults or {}), **(_file(given.config) if given.config else {})}
    for option in options():
        text = getattr(given, option.field, None)
        if text is not None:
            document[option.field] = [word for word in text.split(",") if word] if _is_list(option.field) else text
    return parse_settings(ServeConfig, document, where=given.config or "the options")


def _file(path: str) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise from_os_error(error, doing="reading the options") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path} holds {type(found).__name__}", expected="a mapping of options")
    return found


def _is_list(field: str) -> bool:
    return getattr(ServeConfig.model_fields[field].annotation, "__origin__", None) is tuple


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
