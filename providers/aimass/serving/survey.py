"""What people are to be told of what a server finds in its registry: nothing at all, or not what it was asked for."""

from __future__ import annotations

from collections.abc import Iterator

from aimass.core.errors import nearest_name
from aimass.core.release.base import ModelRegistry
from aimass.serving.config import ServeConfig
from aimass.serving.state import Table


def oddities(config: ServeConfig, registry: ModelRegistry, table: Table) -> list[str]:
    """Return a sentence for each thing that is hardly meant.

    Parameters
    ----------
    config : ServeConfig
        What the server is asked for.
    registry : ModelRegistry
        Where it looks; asked for its names.
    table : Table
        What it would serve.
    """
    known = [model.name for model in registry.models()]
    return [*_unknown(config, known), *_nothing(table, known)]


def _unknown(config: ServeConfig, known: list[str]) -> Iterator[str]:
    asked = {each.partition("@")[0] for each in (*config.models, *config.pins, *config.prewarm)}
    for name in sorted(asked - {"*", *known}):
        nearest = nearest_name(name, known)
        yield f"No model {name!r} is in the registry{f'; did you mean {nearest!r}?' if nearest else '.'}"


def _nothing(table: Table, known: list[str]) -> Iterator[str]:
    if not known:
        yield "The registry has no model, so that nothing is served: is it the right one? See --tracking-uri."
    elif not table.models:
        yield f"None of the registry's {len(known)} models is served: see --models and the models' tags."
