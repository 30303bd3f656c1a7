"""Write docs/reference.md from the configuration models: every stage, every backend, every field."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from aimass.core.cleaning import CLEANING
from aimass.core.compute import COMPUTES
from aimass.core.evaluation import METRICS
from aimass.core.features import FEATURES
from aimass.core.models import MODELS
from aimass.core.monitoring.rules import Rule, Watch
from aimass.core.registry import Registry
from aimass.core.search import SEARCHES
from aimass.core.sources import SOURCES
from aimass.core.splitting import SPLITTERS
from aimass.core.stages import STAGES
from aimass.pipelines.model import Pipeline
from aimass.serving.config import ServeConfig

PAGE = Path(__file__).parent.parent / "docs" / "reference.md"
FAMILIES: tuple[Registry[Any], ...] = (SOURCES, SPLITTERS, CLEANING, FEATURES, MODELS, SEARCHES, COMPUTES)
HEAD = """# Reference: every field

Made by `make docs` from the configuration models; do not edit. `python -m aimass.core <stage> --help` prints the same.
"""


def main() -> int:
    """Write the page, or with --check say whether it is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the page is out of date")
    arguments = parser.parse_args()
    text = "\n".join(lines())
    if not arguments.check:
        PAGE.write_text(text)
        return 0
    if PAGE.read_text() == text:
        return 0
    print(f"{PAGE.name} is out of date: run make docs", file=sys.stderr)
    return 1


def lines() -> Iterator[str]:
    """Yield the page's lines."""
    yield HEAD
    yield "## Pipeline (a YAML file)\n"
    yield from table(Pipeline)
    yield "## Watch file (a YAML file)\n"
    yield from table(Watch)
    yield "### Rule\n"
    yield from table(Rule)
    yield "## Inference server\n"
    yield "Options of `airflow aimass serve` and `python -m aimass.serving`, and keys of its `--config` file. On the"
    yield "command line `_` becomes `-`, and a list is written with commas.\n"
    yield from table(ServeConfig)
    for name in STAGES.names():
        stage = STAGES.load(name)
        yield f"## Stage `{name}`\n"
        yield from table(stage.config)
        yield "Result:\n"
        yield from table(stage.result)
    for family in FAMILIES:
        for name in family.names():
            yield f"## {family.family.capitalize()} `{name}`\n"
            yield from table(family.load(name).Settings)
    yield "## Metrics\n"
    yield from (f"- `{name}`" for name in METRICS.names())
    yield ""


def table(model: type[BaseModel]) -> Iterator[str]:
    """Yield a table of the model's fields."""
    if not model.model_fields:
        yield "Nothing to set.\n"
        return
    yield "| field | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        yield f"| `{field.alias or name}` | {_type(field.annotation)} | {default} | {_cell(field.description or '')} |"
    yield ""


def _default(value: Any) -> str:
    if value is PydanticUndefined or value is None:
        return ""
    if isinstance(value, BaseModel):
        return "as below"
    return f"`{_cell(str(value))}`" if value not in ((), {}, [], "") else ""


def _type(annotation: Any) -> str:
    return _cell(_spelled(annotation))


def _spelled(annotation: Any) -> str:
    """Return a type as a person writes it: without modules, and without the constraints of Annotated."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _spelled(inner[0])
    if origin is Literal:
        return " | ".join(repr(value) for value in inner)
    if origin in (Union, UnionType):
        return " | ".join(_spelled(one) for one in inner)
    if origin is not None:
        return f"{origin.__name__}[{', '.join(_spelled(one) for one in inner)}]"
    return "None" if annotation is type(None) else getattr(annotation, "__name__", "…")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


if __name__ == "__main__":
    sys.exit(main())
