from __future__ import annotations

from typing import Any

import polars as pl

from aimass.core.features import FEATURES
from aimass.core.features.base import Variable
from aimass.core.features.canonical import RawColumn
from aimass.core.features.graph import FeatureGraph, apply, variables_after
from aimass.core.features.provenance import Origin, origins, steps

FRAME = pl.LazyFrame(
    {"age": [1.0, None, 3.0], "城市": ["a", "b", None], "when": [0, 1, 2]},
    schema={"age": pl.Float64, "城市": pl.String, "when": pl.Int64},
)
RAW = [
    RawColumn(name="age", type="double", kind="float"),
    RawColumn(name="城市", type="string", kind="string"),
    RawColumn(name="when", type="timestamp[us]", kind="date"),
]


def graph_of(clean: list[dict[str, Any]], features: list[dict[str, Any]], outputs: list[str]) -> FeatureGraph:
    """Return a graph whose transforms are fitted on `FRAME`, one after the other."""
    frame, fitted = FRAME, []
    known = {column.name: Variable(column.name, column.kind) for column in RAW}
    for document in [*clean, *features]:
        kind = FEATURES.load(document["type"])
        transform = kind(kind.Settings(**{name: value for name, value in document.items() if name != "type"}))
        transform.fit(frame, [known[name] for name in document["columns"]])
        fitted.append((document["type"], transform))
        frame, known = apply(frame, fitted[-1:]), variables_after(known.values(), fitted[-1:])
    return FeatureGraph(RAW, fitted[: len(clean)], fitted[len(clean) :], outputs)


def test_steps_say_what_they_read() -> None:
    graph = graph_of(
        [{"type": "clip", "columns": ["age"], "low": 0, "high": 2}],
        [{"type": "fill", "columns": ["age"]}, {"type": "one_hot", "columns": ["城市"]}],
        ["age", "age_missing", "城市=a"],
    )
    assert [(step.part, step.name) for step in steps(graph)] == [
        ("clean", "clip"),
        ("features", "fill"),
        ("features", "one_hot"),
    ]
    assert steps(graph)[1].reads == {"age": ("age",), "age_missing": ("age",)}
    assert set(steps(graph)[2].reads.values()) == {("城市",)}


def test_a_feature_is_followed_back_to_its_raw_column() -> None:
    graph = graph_of(
        [],
        [{"type": "fill", "columns": ["age"]}, {"type": "scale", "columns": ["age", "age_missing"]}],
        ["age", "age_missing"],
    )
    assert origins(graph) == {"age": Origin(("age",), (0, 1)), "age_missing": Origin(("age",), (0, 1))}


def test_parts_of_a_time_come_from_it_and_what_nobody_touches_from_itself() -> None:
    graph = graph_of([], [{"type": "date_parts", "columns": ["when"], "parts": ["year"]}], ["when_year", "age"])
    assert origins(graph) == {"when_year": Origin(("when",), (0,)), "age": Origin(("age",), ())}
