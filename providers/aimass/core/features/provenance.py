"""Where the columns of a feature graph come from: which step reads what, and what it writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from aimass.core.features.base import Transform
from aimass.core.features.graph import FeatureGraph

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One fitted transform of a graph.

    Attributes
    ----------
    part : {"clean", "features"}
        Whose step it is: the clean stage's, or featurize's.
    name : str
        The transform's name in the registry.
    transform : Transform
        The transform itself.
    reads : dict of str to tuple of str
        The columns that go into each column that it writes.
    """

    part: Literal["clean", "features"]
    name: str
    transform: Transform
    reads: dict[str, tuple[str, ...]]


def steps(graph: FeatureGraph) -> list[Step]:
    """Return the steps of `graph` in order; what each reads is asked of its expressions, whoever wrote it."""
    return [
        *(Step("clean", name, transform, _reads(transform)) for name, transform in graph.clean),
        *(Step("features", name, transform, _reads(transform)) for name, transform in graph.features),
    ]


def _reads(transform: Transform) -> dict[str, tuple[str, ...]]:
    return {
        expression.meta.output_name(): tuple(dict.fromkeys(expression.meta.root_names()))
        for expression in transform.expressions()
    }


@dataclass(frozen=True)
class Origin:
    """Where a feature comes from.

    Attributes
    ----------
    raw : tuple of str
        The raw columns that it is computed from.
    through : tuple of int
        Places, in `steps`, of the transforms on its way.
    """

    raw: tuple[str, ...]
    through: tuple[int, ...]


def origins(graph: FeatureGraph) -> dict[str, Origin]:
    """Return the origin of every feature of `graph`, in the matrix's order."""
    found = {column.name: Origin((column.name,), ()) for column in graph.raw}
    for place, step in enumerate(steps(graph)):
        found |= {output: _joined([found[name] for name in names], place) for output, names in step.reads.items()}
    return {name: found[name] for name in graph.outputs}


def _joined(before: list[Origin], place: int) -> Origin:
    return Origin(_unique(name for origin in before for name in origin.raw), _unique(_places(before, place)))


def _places(before: list[Origin], place: int) -> Iterator[int]:
    for origin in before:
        yield from origin.through
    yield place


def _unique(items: Iterator[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))
