"""The contract that every feature transform keeps."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import onnxruntime
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimass.core.backends import backend_of
from aimass.core.deps import Deps, Runtime
from aimass.core.errors import SchemaMismatchError
from aimass.core.features import FEATURES
from aimass.core.features.base import Transform, Variable
from aimass.core.features.canonical import canonical
from aimass.core.features.graph import FeatureGraph, matrix_column
from aimass.core.features.raw import KINDS, RawColumn
from aimass.core.manifest import Split
from aimass.core.reserved import NULL_STRING
from aimass.core.stages.base import Output, Target
from aimass.core.stages.featurize import FeaturizeConfig, featurize
from aimass.core.testing.datasets import publish_rows

RAW = [
    RawColumn(name="f", type="double", kind="float"),
    RawColumn(name="g", type="double", kind="float"),
    RawColumn(name="i", type="int64", kind="int"),
    RawColumn(name="b", type="bool", kind="bool"),
    RawColumn(name="s", type="string", kind="string"),
    RawColumn(name="d", type="timestamp[us]", kind="date"),
]
SCHEMA: dict[str, Any] = {
    "f": pl.Float64, "g": pl.Float64, "i": pl.Int64, "b": pl.Boolean, "s": pl.String, "d": pl.Datetime("us"),
}  # fmt: skip
SAMPLES: dict[str, list[Any]] = {
    "s": ["JFK", "LGA", "EWR", "", " JFK", "None", "nan", "航班", "e\u0301", "\u00e9", "a\nb", "x" * 300],
    "i": [0, 1, -1, 2**24 + 1, 2**53 + 1, 2**63 - 1, -(2**63)],
    "f": [0.0, -0.0, 1.0, -1.0, 0.5, 1e-310, 1e300, -1e300, 3.5e38, float("inf"), float("-inf"), float("nan")],
}
TEXT = st.text(max_size=8).filter(lambda text: NULL_STRING not in text)
ROW = st.fixed_dictionaries(
    {
        "f": st.none() | st.sampled_from(SAMPLES["f"]) | st.floats(),
        "g": st.none() | st.floats(-100, 100),
        "i": st.none() | st.sampled_from(SAMPLES["i"]) | st.integers(-5, 5),
        "b": st.none() | st.booleans(),
        "s": st.none() | st.sampled_from(SAMPLES["s"]) | TEXT,
        "d": st.none() | st.datetimes(),
    }
)
ROWS = st.lists(ROW, min_size=1, max_size=40).map(lambda rows: pl.DataFrame(rows, schema=SCHEMA))
# The subclasses share these tests on purpose, and differ only in a class attribute.
UNCHECKED = [HealthCheck.too_slow, HealthCheck.differing_executors]


class TransformContract:
    """What every feature transform does; a test class inherits it and sets `document`.

    `document` is a configuration over columns of `RAW`: f and g (float), i (int), b (bool), s (string), d (date).
    """

    document: ClassVar[dict[str, Any]]

    @settings(deadline=None, max_examples=12, suppress_health_check=UNCHECKED)
    @given(train=ROWS, rows=ROWS)
    def test_both_engines_say_the_same(self, train: pl.DataFrame, rows: pl.DataFrame) -> None:
        """Polars and ONNX Runtime agree within ``1e-6 + 1e-5 |x|``, and on what is missing."""
        transform = fitted(self.document, train)
        everything = pl.concat([train, rows])
        batch, online = by_polars(transform, everything), by_onnx(transform, everything)
        assert np.array_equal(np.isnan(batch), np.isnan(online))
        assert np.all((np.abs(batch - online) <= 1e-6 + 1e-5 * np.abs(batch)) | np.isnan(batch))

    @settings(deadline=None, max_examples=4, suppress_health_check=UNCHECKED)
    @given(train=ROWS)
    def test_what_cannot_be_missing_is_not(self, train: pl.DataFrame) -> None:
        """An output that is not nullable holds no NaN."""
        transform = fitted(self.document, train)
        matrix = by_polars(transform, train)
        for index, output in enumerate(number_outputs(transform)):
            assert output.nullable or not np.isnan(matrix[:, index]).any()

    @settings(deadline=None, max_examples=4, suppress_health_check=UNCHECKED)
    @given(train=ROWS)
    def test_learned_state_survives_json(self, train: pl.DataFrame) -> None:
        """A transform restored from JSON is the same transform."""
        transform = fitted(self.document, train)
        restored = make(self.document)
        restored.restore(json.loads(json.dumps(transform.state(), allow_nan=False)))
        assert restored.state() == transform.state()
        assert restored.outputs() == transform.outputs()
        assert np.array_equal(by_polars(restored, train), by_polars(transform, train), equal_nan=True)

    @settings(deadline=None, max_examples=4, suppress_health_check=UNCHECKED)
    @given(train=ROWS)
    def test_the_same_rows_teach_the_same(self, train: pl.DataFrame) -> None:
        """Fitting twice gives the same state, to the last bit."""
        assert fitted(self.document, train).state() == fitted(self.document, train).state()

    def test_learns_from_training_rows_only(self, tmp_path: Any) -> None:
        """Other validation and test rows leave the fitted graph's bytes as they are."""
        first = graph_digest(self.document, str(tmp_path / "a"), seed=0)
        assert first == graph_digest(self.document, str(tmp_path / "b"), seed=7)

    def test_other_kinds_are_refused_by_name(self) -> None:
        """A column of a kind that it does not accept is a SchemaMismatchError that names the column."""
        transform = make(self.document)
        for kind in set(KINDS) - set(transform.accepts):
            with pytest.raises(SchemaMismatchError) as caught:
                transform.fit(pl.LazyFrame(), [Variable("odd", kind)])
            assert caught.value.details["column"] == "odd"


def make(document: dict[str, Any]) -> Transform:
    """Return the unfitted transform of `document`."""
    kind, chosen = backend_of(FEATURES, document)
    transform: Transform = kind(chosen)
    return transform


def fitted(document: dict[str, Any], train: pl.DataFrame) -> Transform:
    """Return the transform of `document`, fitted on raw rows."""
    transform = make(document)
    kinds = {column.name: column.kind for column in RAW}
    columns = [Variable(name, kinds[name]) for name in document["columns"]]
    transform.fit(canonical(train.lazy(), RAW), columns)
    return transform


def number_outputs(transform: Transform) -> list[Variable]:
    """Return the outputs that can stand in a matrix."""
    return [output for output in transform.outputs() if output.kind != "string"]


def by_polars(transform: Transform, rows: pl.DataFrame) -> npt.NDArray[np.float32]:
    """Return the outputs by polars, shape (n_rows, n_outputs)."""
    frame = canonical(rows.lazy(), RAW).with_columns(transform.expressions())
    outputs = number_outputs(transform)
    if not outputs:
        return np.zeros((rows.height, 0), np.float32)
    return frame.select([matrix_column(output.name) for output in outputs]).collect().to_numpy()


def by_onnx(transform: Transform, rows: pl.DataFrame) -> npt.NDArray[np.float32]:
    """Return the outputs by ONNX Runtime, shape (n_rows, n_outputs)."""
    outputs = [output.name for output in number_outputs(transform)]
    if not outputs:
        return np.zeros((rows.height, 0), np.float32)
    used = [column for column in RAW if column.name in transform.names]
    graph = FeatureGraph(used, [], [("under test", transform)], outputs)
    session = onnxruntime.InferenceSession(graph.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    result: npt.NDArray[np.float32] = session.run(None, graph.encode(rows))[0]
    return result


def graph_digest(document: dict[str, Any], store: str, seed: int) -> str:
    """Return the digest of the graph fitted on fixed training rows, beside test rows drawn with `seed`."""
    deps = Deps.from_runtime(Runtime(store=store))
    shares: dict[Split, pl.DataFrame] = {
        "train": random_rows(1),
        "validation": random_rows(100 + seed),
        "test": random_rows(200 + seed),
    }
    uri = publish_rows(deps, shares, tags={"y": {"role": "target"}})
    target = Output(deps, Target("featurize", deps.store.folder("contract", "featurize")))
    featurize(FeaturizeConfig(dataset=uri, raw=uri, features=(document,)), deps, target)
    return next(file.sha256 for file in target.files if file.name == "graph.json")


def random_rows(seed: int, n_rows: int = 200) -> pl.DataFrame:
    """Return plausible rows with a target `y`."""
    rng = np.random.default_rng(seed)
    f = rng.normal(10, 3, n_rows)
    return pl.DataFrame(
        {
            "f": pl.Series(f).set(pl.Series(rng.random(n_rows) < 0.1), None),
            "g": rng.exponential(2.0, n_rows),
            "i": rng.integers(0, 7, n_rows),
            "b": rng.random(n_rows) < 0.4,
            "s": rng.choice(["JFK", "LGA", "EWR"], n_rows),
            "d": pl.Series(rng.integers(0, 2**50, n_rows)).cast(pl.Datetime("us")),
            "y": (f + rng.normal(0, 2, n_rows)) > 10,
        }
    )
