from __future__ import annotations

from gettext import NullTranslations

import polars as pl

from aimass.core.features import FEATURES
from aimass.core.features.base import Variable
from aimass.core.features.canonical import RawColumn
from aimass.core.features.graph import FeatureGraph
from aimass.ui.drawing import Drawing
from aimass.ui.feature_flow import feature_flow

HOSTILE = "<img src=x onerror=alert(1)>"


def wide_graph(numbers: int, texts: int) -> FeatureGraph:
    """Return a graph of scaled numbers and one-hot texts, five categories each."""
    names, words = [f"n{place}" for place in range(numbers)], [f"t{place}" for place in range(texts)]
    frame = pl.LazyFrame({name: [1.0, 2.0, 3.0, 4.0, 5.0] for name in names} | {name: list("abcde") for name in words})
    scale, one_hot = (FEATURES.load(kind) for kind in ("scale", "one_hot"))
    first, second = scale(scale.Settings(columns=names)), one_hot(one_hot.Settings(columns=words))
    first.fit(frame, [Variable(name, "float") for name in names])
    second.fit(frame, [Variable(name, "string") for name in words])
    raw = [RawColumn(name=name, type="double", kind="float") for name in names]
    raw += [RawColumn(name=name, type="string", kind="string") for name in words]
    outputs = [variable.name for transform in (first, second) for variable in transform.outputs()]
    return FeatureGraph(raw, [], [("scale", first), ("one_hot", second)], outputs)


def drawn(graph: FeatureGraph) -> Drawing:
    return feature_flow(graph, model="late", family="lightgbm", words=NullTranslations())


def titles(drawing: Drawing, tone: str) -> list[str]:
    return [placed.box.title for placed in drawing.boxes if placed.box.tone == tone]


def test_few_columns_are_drawn_one_by_one() -> None:
    drawing = drawn(wide_graph(2, 1))
    assert titles(drawing, "raw") == ["n0", "n1", "t0"]
    assert titles(drawing, "form") == ["canonical form", "tidy text"]
    assert titles(drawing, "features") == ["scale", "one_hot"]
    assert titles(drawing, "feature") == ["n0", "n1", "t0"]
    assert titles(drawing, "model") == ["late"]
    flows = {(curve.arrow.start, curve.arrow.end) for curve in drawing.curves}
    assert ("form float float us", "step 0") in flows
    assert ("step 0", "step 1") not in flows


def test_hundreds_of_columns_stay_readable() -> None:
    drawing = drawn(wide_graph(120, 40))
    assert titles(drawing, "raw") == ["120 columns", "40 columns"]
    assert titles(drawing, "feature") == ["120 features", "200 features"]
    assert len(drawing.boxes) < 12
    assert all(placed.box.hover.count("\n") < 40 for placed in drawing.boxes)
    heaviest = max(drawing.curves, key=lambda curve: curve.width)
    assert heaviest.arrow.weight == 200


def test_what_no_transform_touches_goes_straight_to_the_matrix() -> None:
    drawing = drawn(FeatureGraph([RawColumn(name=HOSTILE, type="int64", kind="int")], [], [], [HOSTILE]))
    flows = {(curve.arrow.start, curve.arrow.end) for curve in drawing.curves}
    assert flows == {("raw 0", "form int int us"), ("form int int us", "feature 0"), ("feature 0", "model")}
    assert titles(drawing, "feature") == [HOSTILE]
