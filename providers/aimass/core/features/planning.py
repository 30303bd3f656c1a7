"""From the configured list of transforms, and what is left to do automatically, to a fitted feature graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from aimass.core.backends import backend_of
from aimass.core.errors import ConfigError, DataError, UnknownNameError
from aimass.core.features import FEATURES
from aimass.core.features.base import Transform, Variable
from aimass.core.features.graph import apply
from aimass.core.features.raw import Kind
from aimass.core.features.statistics import count_distinct, count_rows, extremes, missing_counts

if TYPE_CHECKING:
    import polars as pl

ONE_HOT_AT_MOST = 20
"""A text column with more categories gets frequency and ordinal instead of one-hot columns."""

ALL_DIFFERENT_SHARE = 0.9
ALL_DIFFERENT_FROM = 100
STEPS_IN_SPREAD = 1024
"""A column must spread over so many steps of float32, or the matrix would blur it."""

SELECTORS: dict[str, tuple[Kind, ...]] = {
    "number": ("float", "int"),
    "string": ("string",),
    "bool": ("bool",),
    "date": ("date",),
}


@dataclass
class Plan:
    """Fitted transforms on their way to a graph.

    Attributes
    ----------
    frame : LazyFrame
        Training rows in the graph's types, after the transforms so far.
    variables : dict
        The columns that stand, by name.
    candidates : list of str
        Columns that go into the matrix unless something takes them out; columns of other roles join when named.
    transforms : list
        What was fitted so far.
    consumed : set of str
        Columns that an encoder took out of the matrix.
    dropped : dict
        Columns left out, with the reason.
    slices : callable, optional
        Returns the training rows in the graph's types again, slice by slice, before any transform.
    """

    frame: pl.LazyFrame
    variables: dict[str, Variable]
    candidates: list[str]
    transforms: list[tuple[str, Transform]] = field(default_factory=list)
    consumed: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    dropped: dict[str, str] = field(default_factory=dict)
    slices: Callable[[], Iterable[pl.LazyFrame]] | None = None

    def pieces(self) -> Iterator[pl.LazyFrame]:
        """Yield the training rows in slices, after the transforms so far: what looks at all columns stays small."""
        if self.slices is None:
            yield self.frame
        else:
            yield from (apply(piece, self.transforms) for piece in self.slices())

    def add(self, document: Mapping[str, Any]) -> None:
        """Fit the transform that `document` describes, on the current values of its columns.

        Raises
        ------
        ConfigError
            An unknown type, setting or column, or an output that has a name already taken.
        SchemaMismatchError
            A column's kind does not suit the transform.
        """
        name, transform = fit_transform(document, self.frame, self.variables, self._selectable())
        outputs = {output.name: output for output in transform.outputs()}
        own = set(transform.names) if transform.replaces else set()
        twice = sorted(set(outputs) & set(self.variables) - own)
        if twice or len(outputs) < len(transform.outputs()):
            raise ConfigError(
                f"The transform {name!r} makes the column {(twice or sorted(outputs))[0]!r} a second time",
                hint="Name the columns of the two transforms apart, or leave one out",
                columns=twice,
            )
        self.transforms.append((name, transform))
        self.frame = self.frame.with_columns(transform.expressions())
        self.variables |= outputs
        self.touched |= set(transform.names)
        for column in transform.names:  # a selector passes by what was dropped, so this one was named
            self.dropped.pop(column, None)
        self.candidates = list(dict.fromkeys([*self.candidates, *transform.names, *outputs]))
        if not transform.replaces:
            self.consumed |= set(transform.names)

    def left(self) -> list[Variable]:
        """Return the columns that go into the matrix as things stand."""
        gone = self.consumed | self.dropped.keys()
        return [self.variables[name] for name in self.candidates if name not in gone]

    def _selectable(self) -> list[Variable]:
        return [self.variables[name] for name in self.candidates if name not in self.dropped]


def fit_transform(
    document: Mapping[str, Any],
    frame: pl.LazyFrame,
    variables: Mapping[str, Variable],
    selectable: Iterable[Variable],
) -> tuple[str, Transform]:
    """Return the name and the transform of `document`, fitted on `frame`."""
    kind, settings = backend_of(FEATURES, dict(document))
    if isinstance(settings.columns, str):
        columns = [variable for variable in selectable if variable.kind in SELECTORS[settings.columns]]
    else:
        for column in settings.columns:
            if column not in variables:
                raise UnknownNameError("column", column, variables, transform=document["type"])
        columns = [variables[column] for column in settings.columns]
    transform = kind(settings)
    transform.fit(frame, columns)
    return str(document["type"]), transform


def plan_features(plan: Plan, documents: Sequence[Mapping[str, Any]]) -> None:
    """Fit the configured transforms, then whatever the columns still need to enter a matrix without gaps.

    Raises
    ------
    DataError
        No column is left, or one cannot be told apart in float32.
    """
    drop_useless(plan)
    for document in documents:
        plan.add(document)
    for document in automatic(plan, scale=not documents):
        plan.add(document)
    check_matrix(plan)
    if not plan.left():
        raise DataError(
            "No feature is left",
            expected="at least one usable column besides target, id and time",
            hint="Dropped: " + "; ".join(f"{name} ({reason})" for name, reason in plan.dropped.items()),
            dropped=plan.dropped,
        )


def drop_useless(plan: Plan) -> None:
    """Drop columns without any value, with a single value, or with texts that are nearly all different."""
    names = [variable.name for variable in plan.left()]
    rows = count_rows(plan.frame)
    missing = dict(zip(names, missing_counts(plan.frame, names), strict=True)) if names else {}
    bounds = dict(zip(names, extremes(plan.pieces(), names), strict=True))
    texts: list[str] = []
    for name in names:
        low, high = bounds[name]
        if low is None:
            plan.dropped[name] = "no value in the training rows"
        elif low == high and not missing[name]:
            plan.dropped[name] = "one value in all training rows"
        elif plan.variables[name].kind == "string" and rows - missing[name] >= ALL_DIFFERENT_FROM:
            texts.append(name)
    for name, distinct in zip(texts, count_distinct(plan.frame, texts), strict=True):
        if distinct > ALL_DIFFERENT_SHARE * (rows - missing[name]):
            plan.dropped[name] = f"{distinct:,} different texts in {rows - missing[name]:,} training rows"


def automatic(plan: Plan, *, scale: bool) -> list[dict[str, Any]]:
    """Return the transforms that make the columns left into numbers without gaps.

    Numbers are filled (and scaled if asked), booleans filled, dates cut into parts; texts with at most
    `ONE_HOT_AT_MOST` categories become one-hot columns, others frequency and ordinal.
    """
    left = plan.left()
    gaps = [v.name for v in left if v.kind in ("float", "int") and v.nullable]
    flags = [v.name for v in left if v.kind == "bool" and v.nullable]
    dates = [v.name for v in left if v.kind == "date"]
    names = [v.name for v in left if v.kind == "string"]
    texts = dict(zip(names, count_distinct(plan.frame, names), strict=True))
    few = [name for name, distinct in texts.items() if distinct <= ONE_HOT_AT_MOST]
    many = [name for name in texts if name not in few]
    numbers = [v.name for v in left if v.kind in ("float", "int") and scale]
    steps: list[tuple[dict[str, Any], list[str]]] = [
        ({"type": "fill"}, gaps),
        ({"type": "fill", "strategy": "most_frequent"}, flags),
        ({"type": "scale"}, numbers),
        ({"type": "date_parts"}, dates),
        ({"type": "one_hot"}, few),
        ({"type": "frequency"}, many),
        ({"type": "ordinal"}, many),
    ]
    return [{**step, "columns": columns} for step, columns in steps if columns]


def check_matrix(plan: Plan) -> None:
    """Drop constant features, and refuse what float32 would blur: an epoch, a long number that names things."""
    left = plan.left()
    names = [variable.name for variable in left]
    for variable, (low, high) in zip(left, extremes(plan.pieces(), names), strict=True):
        if low is None or low == high:
            plan.dropped[variable.name] = "one value in all training rows"
            continue
        step = float(np.spacing(np.float32(min(max(abs(float(low)), abs(float(high))), 3e38))))
        is_blurred = (float(high) - float(low)) / step < STEPS_IN_SPREAD
        if is_blurred or (step > 1 and _holds_whole_numbers(plan, variable.name)):
            raise DataError(
                f"Column {variable.name!r} runs from {low} to {high}, and float32 steps by {step:g} there",
                expected=f"whole numbers up to {1 << 24:,}, or a spread of {STEPS_IN_SPREAD} such steps",
                hint="Use `scale` for a quantity, `frequency` or `ordinal` for a number that names things, or a "
                "`types` step in clean that reads an epoch as a date, then `date_parts`",
                column=variable.name,
            )


def _holds_whole_numbers(plan: Plan, name: str) -> bool:
    """Return whether a column came as whole numbers and was at most filled."""
    if plan.variables[name].kind == "int":
        return True
    history = [(label, transform) for label, transform in plan.transforms if name in transform.names]
    kinds = {variable.kind for _, transform in history for variable in transform.variables if variable.name == name}
    return "int" in kinds and all(label == "fill" for label, _ in history)
