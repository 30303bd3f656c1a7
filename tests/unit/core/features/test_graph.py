"""The whole graph: planning, chains, names, refusals, both engines and the document."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest

from aimass.core.datasets import type_name
from aimass.core.errors import (
    AimassError,
    ConfigError,
    CorruptDataError,
    DataError,
    SchemaMismatchError,
    UnknownNameError,
)
from aimass.core.features.base import Variable
from aimass.core.features.canonical import canonical, raw_columns
from aimass.core.features.graph import FeatureGraph
from aimass.core.features.planning import Plan, plan_features
from aimass.core.manifest import Column
from aimass.core.testing.transforms import random_rows


def fit(frame: pl.DataFrame, documents: list[dict[str, Any]]) -> tuple[FeatureGraph, Plan]:
    raw = raw_columns(Column(name=f.name, type=type_name(f.type)) for f in frame.to_arrow().schema)
    variables = {column.name: Variable(column.name, column.kind) for column in raw}
    plan = Plan(canonical(frame.lazy(), raw), variables, list(variables))
    plan_features(plan, documents)
    return FeatureGraph(raw, [], plan.transforms, [variable.name for variable in plan.left()]), plan


def by_onnx(graph: FeatureGraph, frame: pl.DataFrame) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, graph.encode(frame))[0]


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return random_rows(3).drop("y")


@pytest.fixture(scope="module")
def automatic(frame: pl.DataFrame) -> FeatureGraph:
    return fit(frame, [])[0]


def test_automatic_features_have_readable_names(automatic: FeatureGraph) -> None:
    assert automatic.outputs[:5] == ["f", "g", "i", "b", "f_missing"]
    assert {"s=JFK", "s=LGA", "s=EWR", "d_month", "d_hour"} <= set(automatic.outputs)
    assert "d" not in automatic.outputs  # an epoch would not survive float32


def test_automatic_features_have_no_gaps(automatic: FeatureGraph, frame: pl.DataFrame) -> None:
    empty = pl.DataFrame({name: [None] for name in frame.columns}, schema=frame.schema)
    for rows in (frame, empty):
        assert np.isfinite(automatic.transform(rows.lazy()).collect().to_numpy()).all()


def test_both_engines_agree_also_at_the_edges(automatic: FeatureGraph, frame: pl.DataFrame) -> None:
    edges = automatic.edge_rows(frame.head(20), {"f": [0.0, 0.3], "d_month": [3.5], "s=JFK": [0.5]})
    rows = pl.concat([frame, edges])
    batch = automatic.transform(rows.lazy()).collect().to_numpy()
    assert np.abs(batch - by_onnx(automatic, rows)).max() <= 1e-6
    assert edges.height > 50
    assert edges["f"].is_null().any()
    assert edges["f"].is_infinite().any()


def test_edge_rows_stand_at_the_thresholds(automatic: FeatureGraph, frame: pl.DataFrame) -> None:
    threshold = np.float32(0.3)
    edges = automatic.edge_rows(frame.head(1), {"f": [0.3]})
    found = set(automatic.transform(edges.lazy()).collect()["f"].to_list())
    around = {float(np.nextafter(threshold, np.float32(d))) for d in (-1, 1)} | {float(threshold)}
    assert around <= found


def test_one_row_as_a_mapping_gives_the_same(automatic: FeatureGraph, frame: pl.DataFrame) -> None:
    session = onnxruntime.InferenceSession(automatic.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    online = session.run(None, automatic.encode_rows(frame.head(1).to_dicts()))[0]
    assert np.array_equal(online, by_onnx(automatic, frame)[:1])


def test_the_document_gives_the_same_graph(automatic: FeatureGraph, frame: pl.DataFrame) -> None:
    copy = FeatureGraph.from_document(json.loads(json.dumps(automatic.document(), allow_nan=False)))
    assert copy.document() == automatic.document()
    assert copy.to_onnx().SerializeToString() == automatic.to_onnx().SerializeToString()
    assert copy.transform(frame.lazy()).collect().equals(automatic.transform(frame.lazy()).collect())


def test_a_document_of_another_format_is_refused() -> None:
    with pytest.raises(CorruptDataError, match="featurize"):
        FeatureGraph.from_document({"format_version": 99})


def test_inputs_are_vectors_with_masks_for_whole_numbers(automatic: FeatureGraph) -> None:
    inputs = {item.name: item.type.tensor_type for item in automatic.to_onnx().graph.input}
    assert set(inputs) == {"f", "g", "i", "i__missing", "b", "b__missing", "s", "d", "d__missing"}
    assert {len(tensor.shape.dim) for tensor in inputs.values()} == {1}


def test_transforms_chain_on_a_column(frame: pl.DataFrame) -> None:
    documents = [
        {"type": "fill", "columns": ["g"], "indicator": "never"},
        {"type": "log", "columns": ["g"]},
        {"type": "scale", "columns": ["g"]},
    ]
    graph, _ = fit(frame.select("g"), documents)
    values = graph.transform(frame.lazy()).collect()["g"].to_numpy()
    expected = np.log1p(frame["g"].to_numpy())
    assert graph.outputs == ["g"]
    np.testing.assert_allclose(values, (expected - expected.mean()) / expected.std(), atol=1e-5)


def test_columns_that_nobody_named_are_still_encoded(frame: pl.DataFrame) -> None:
    graph, _ = fit(frame, [{"type": "clip", "columns": ["g"], "high": 3.0}])
    assert {"g", "f", "f_missing", "i", "b", "s=JFK", "d_year"} <= set(graph.outputs)
    assert graph.transform(frame.lazy()).collect()["i"].to_list() == frame["i"].cast(pl.Float32).to_list()  # not scaled


def test_an_encoded_column_can_be_read_twice(frame: pl.DataFrame) -> None:
    documents = [{"type": "frequency", "columns": ["s"]}, {"type": "ordinal", "columns": ["s"]}]
    graph, _ = fit(frame.select("s"), documents)
    assert graph.outputs == ["s_frequency", "s_ordinal"]


def test_many_categories_become_frequency_and_ordinal() -> None:
    frame = pl.DataFrame({"s": [f"c{number % 50 if number < 400 else 0}" for number in range(500)], "x": range(500)})
    assert {"s_frequency", "s_ordinal"} <= set(fit(frame, [])[0].outputs)


def test_useless_columns_are_dropped_with_the_reason() -> None:
    rows = 200
    frame = pl.DataFrame(
        {
            "x": range(rows),
            "same": ["a"] * rows,
            "id": [f"id-{number}" for number in range(rows)],
            "empty": pl.Series([None] * rows, dtype=pl.Float64),
        }
    )
    graph, plan = fit(frame, [])
    assert graph.outputs == ["x"]
    assert plan.dropped["same"] == "one value in all training rows"
    assert plan.dropped["empty"] == "no value in the training rows"
    assert "different texts" in plan.dropped["id"]


def test_a_selector_means_all_columns_of_a_kind(frame: pl.DataFrame) -> None:
    graph, _ = fit(frame, [{"type": "scale", "columns": "number"}])
    assert graph.features[0][1].names == ["f", "g", "i"]


@pytest.mark.parametrize(
    ("document", "error", "says"),
    [
        ({"type": "scal", "columns": ["f"]}, UnknownNameError, "'scale'"),
        ({"type": "scale", "columns": ["ff"]}, UnknownNameError, "'f'"),
        ({"type": "scale", "columns": ["f"], "metod": "robust"}, ConfigError, "'method'"),
        ({"type": "scale", "columns": ["s"]}, SchemaMismatchError, "string"),
        ({"type": "one_hot", "columns": ["f"]}, SchemaMismatchError, "float"),
        ({"type": "fill", "columns": ["s"]}, ConfigError, "most_frequent"),
        ({"type": "fill", "columns": ["f"], "strategy": "constant", "value": "x"}, ConfigError, "number"),
        ({"type": "clip", "columns": ["f"]}, ConfigError, "quantile"),
        ({"type": "clip", "columns": ["f"], "low": 2, "high": 1}, ConfigError, "above"),
    ],
)
def test_mistakes_are_named(frame: pl.DataFrame, document: dict[str, Any], error: type[AimassError], says: str) -> None:
    with pytest.raises(error, match=says):
        fit(frame, [document])


def test_a_name_made_twice_is_refused(frame: pl.DataFrame) -> None:
    with pytest.raises(ConfigError, match="s_frequency"):
        fit(frame, [{"type": "frequency", "columns": ["s"]}] * 2)


@pytest.mark.parametrize("number", [2**24 + 1, 1_700_000_000_000_000])
def test_whole_numbers_that_float32_blurs_are_refused_raw(number: int) -> None:
    frame = pl.DataFrame({"id": [number + step for step in range(50)], "x": range(50)})
    with pytest.raises(DataError, match="frequency"):
        fit(frame, [{"type": "scale", "columns": ["x"]}])
    assert fit(frame, [])[0].outputs == ["id", "x"]  # scaled in float64, they keep apart


def test_floats_that_float32_blurs_are_refused_raw() -> None:
    frame = pl.DataFrame({"t": [1e9 + step / 10 for step in range(50)]})
    with pytest.raises(DataError, match="scale"):
        fit(frame, [{"type": "clip", "columns": ["t"], "low": 0.0}])


def test_no_feature_left_says_why() -> None:
    with pytest.raises(DataError, match="one value in all training rows"):
        fit(pl.DataFrame({"x": [1, 1, 1]}), [])
