"""Every feature transform keeps the same promises."""

from __future__ import annotations

from typing import Any, ClassVar

from aimass.core.features import FEATURES
from aimass.core.testing.transforms import TransformContract


class TestScaleStandard(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "scale", "columns": ["f", "g", "i", "b"]}


class TestScaleMinMax(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "scale", "columns": ["g", "f"], "method": "min_max"}


class TestScaleRobust(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "scale", "columns": ["i", "g"], "method": "robust"}


class TestLog(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "log", "columns": ["f", "g", "i"]}


class TestClipFixed(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "clip", "columns": ["f", "i"], "low": -2.5}


class TestClipQuantile(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "clip", "columns": ["f", "g"], "quantile": 0.1}


class TestClipIqr(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "clip", "columns": ["g", "i"], "iqr": 1.5}


class TestFillMedian(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "fill", "columns": ["f", "g", "i"]}


class TestFillMean(TransformContract):
    document: ClassVar[dict[str, Any]] = {
        "type": "fill",
        "columns": ["g", "f"],
        "strategy": "mean",
        "indicator": "always",
    }


class TestFillMostFrequent(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "fill", "columns": ["b", "s", "i"], "strategy": "most_frequent"}


class TestFillConstantText(TransformContract):
    document: ClassVar[dict[str, Any]] = {
        "type": "fill",
        "columns": ["s"],
        "strategy": "constant",
        "value": "none",
        "indicator": "always",
    }


class TestOneHot(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "one_hot", "columns": ["s", "i", "b"]}


class TestOneHotRare(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "one_hot", "columns": ["s"], "max_categories": 2, "min_rows": 2}


class TestOrdinal(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "ordinal", "columns": ["s", "i", "b"]}


class TestOrdinalGivenOrder(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "ordinal", "columns": ["s"], "order": ["LGA", "JFK"]}


class TestFrequency(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "frequency", "columns": ["s", "i", "b"], "max_categories": 3}


class TestDateParts(TransformContract):
    document: ClassVar[dict[str, Any]] = {
        "type": "date_parts",
        "columns": ["d"],
        "parts": ["year", "month", "day", "weekday", "hour", "minute"],
    }


class TestDatePartsCyclic(TransformContract):
    document: ClassVar[dict[str, Any]] = {"type": "date_parts", "columns": ["d"], "cyclic": True}


def test_every_registered_transform_is_under_contract() -> None:
    tested = {contract.document["type"] for contract in TransformContract.__subclasses__()}
    assert tested == set(FEATURES.names())
