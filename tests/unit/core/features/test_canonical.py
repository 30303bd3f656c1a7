"""The canonicaliser: its two faces say the same, and what they say is what the specification says."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core.errors import DataError, SchemaMismatchError
from aimass.core.features.canonical import CONVERSIONS, RawColumn, canonical, kind_of
from aimass.core.features.canonical_rows import canonical_value, encode_frame
from aimass.core.features.graph import FeatureGraph
from aimass.core.features.row_encoder import encode_rows
from aimass.core.reserved import NULL_STRING

TYPES = {"string": "string", "float": "double", "int": "int64", "bool": "bool", "date": "timestamp[us]"}
DTYPES: dict[str, Any] = {
    "string": pl.String, "float": pl.Float64, "int": pl.Int64, "bool": pl.Boolean, "date": pl.Datetime("us"),
}  # fmt: skip


def is_known_to_python(char: str) -> bool:
    """Return whether this Python's Unicode tables know the character; polars' are newer."""
    return unicodedata.category(char) != "Cn"


TEXT = st.text(st.characters(exclude_categories=["Cs"]).filter(is_known_to_python), max_size=12)
NUMBER_TEXTS = st.from_regex(r"[ +-]?[0-9]{0,4}\.?[0-9]{0,3}([eE][+-]?[0-9]{1,4})?[ x]?", fullmatch=True)
DATE_TEXTS = st.from_regex(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9]"
    r"([T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,7})?)?(Z|[+-][0-2][0-9]:[0-6][0-9])?)?",
    fullmatch=True,
)
NEW_YEAR = datetime(2013, 1, 1)  # noqa: DTZ001 - times without a zone are among the inputs
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT
    | NUMBER_TEXTS
    | DATE_TEXTS
    | st.sampled_from(["TRUE", " yes ", "N", "1", "None", "\u2003a\u3000", "ΑΣ"]),
    "float": st.floats() | st.integers(-(2**55), 2**55).map(float),
    "int": st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9),
    "bool": st.booleans(),
    "date": st.datetimes(),
}
PAIRS = [(native, kind) for native, kinds in CONVERSIONS.items() for kind in kinds]


def column(native: str, kind: Any, **more: Any) -> RawColumn:
    return RawColumn(name="x", type=TYPES[native], kind=kind, **more)


def by_polars(values: list[Any], spec: RawColumn) -> list[Any]:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=DTYPES[spec.native], strict=True)})
    return canonical(frame.lazy(), [spec]).collect()["x"].to_list()


@pytest.mark.parametrize(("native", "kind"), PAIRS)
def test_both_faces_say_the_same(native: str, kind: str) -> None:
    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.none() | CELLS[native], min_size=1, max_size=20), st.booleans(), st.sampled_from(["s", "ms", "us"])
    )
    def compare(values: list[Any], fold_case: bool, unit: str) -> None:
        spec = column(native, kind, fold_case=fold_case, unit=unit)
        assert by_polars(values, spec) == [canonical_value(value, spec) for value in values]

    compare()


@pytest.mark.parametrize("kind", ["string", "float", "int", "bool"])
@settings(deadline=None, max_examples=30)
@given(values=st.lists(CELLS["string"], min_size=1, max_size=10), fold_case=st.booleans())
def test_twice_changes_nothing(kind: Any, values: list[str], fold_case: bool) -> None:
    spec = column("string", kind, fold_case=fold_case)
    frame = canonical(pl.LazyFrame({"x": values}), [spec])
    assert canonical(frame, [spec]).collect().equals(frame.collect())


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("  JFK\u2003", "string", "JFK"),
        ("e\u0301", "string", "\u00e9"),
        ("   ", "string", None),
        ("None", "string", "None"),
        ("1,5", "float", None),
        ("1e3", "float", 1000.0),
        ("1e999", "float", None),
        ("nan", "float", None),
        ("٣", "int", None),
        ("007", "int", 7),
        ("Yes", "bool", 1),
        ("0", "bool", 0),
        ("maybe", "bool", None),
        ("1970-01-01", "date", 0),
        ("1970-01-01T00:00:01.5Z", "date", 1_500_000),
        ("1970-01-01 02:00+02:00", "date", 0),
        ("1969-12-31T23:59:59.999999", "date", -1),
        ("2023-02-29", "date", None),
        ("01/02/2023", "date", None),
    ],
)
def test_text_becomes_what_the_specification_says(text: str, kind: Any, expected: Any) -> None:
    spec = column("string", kind)
    assert canonical_value(text, spec) == expected
    assert by_polars([text], spec) == [expected]


def test_a_server_may_send_dates_as_text_or_objects() -> None:
    spec = column("date", "date")
    expected = 1_356_998_400_000_000
    for value in ("2013-01-01", date(2013, 1, 1), NEW_YEAR, NEW_YEAR.replace(tzinfo=UTC)):
        assert canonical_value(value, spec) == expected


@pytest.mark.parametrize("dtype", [pl.Date, pl.Datetime("ms"), pl.Datetime("ns"), pl.Datetime("us", "Asia/Shanghai")])
def test_dates_of_every_resolution_and_zone_are_utc_microseconds(dtype: Any) -> None:
    series = pl.Series("x", [NEW_YEAR]).cast(pl.Datetime("us", "UTC"))
    zone = getattr(dtype, "time_zone", None)
    series = series.dt.convert_time_zone(zone) if zone else series.cast(dtype)
    found = canonical(series.to_frame().lazy(), [column("date", "date")]).collect()["x"].to_list()
    assert found == [1_356_998_400_000_000]


def test_the_reserved_text_is_refused_by_both_faces() -> None:
    spec = column("string", "string")
    with pytest.raises(DataError, match="reserved"):
        encode_rows([{"x": NULL_STRING}], [spec])
    with pytest.raises(DataError, match="reserved"):
        encode_frame(pl.DataFrame({"x": [NULL_STRING]}), [spec])


def test_rows_and_frames_make_the_same_feeds() -> None:
    columns = [
        RawColumn(name="s", type="string", kind="string"),
        RawColumn(name="f", type="double", kind="float"),
        RawColumn(name="i", type="int32", kind="int"),
        RawColumn(name="b", type="bool", kind="bool"),
        RawColumn(name="d", type="date32[day]", kind="date"),
    ]
    rows: list[dict[str, Any]] = [
        {"s": " a", "f": 1.5, "i": 3, "b": True, "d": date(2013, 1, 2)},
        {"s": None, "f": math.nan, "i": None, "b": None, "d": None},
        {"s": "", "f": None, "i": -1, "b": False, "d": date(1901, 1, 1)},
    ]
    frame = pl.DataFrame(rows, schema={"s": pl.String, "f": pl.Float64, "i": pl.Int32, "b": pl.Boolean, "d": pl.Date})
    one, other = encode_rows(rows, columns), FeatureGraph(columns, [], [], []).encode(frame)
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert values.dtype == other[name].dtype
        assert values.shape == (3,)
        assert np.array_equal(values, other[name], equal_nan=values.dtype.kind == "f")


def test_a_row_without_a_column_names_it() -> None:
    with pytest.raises(SchemaMismatchError) as caught:
        encode_rows([{"x": "a"}, {"y": "a"}], [column("string", "string")])
    assert caught.value.details["column"] == "x"


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"x", NEW_YEAR])
def test_a_value_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(SchemaMismatchError) as caught:
        canonical_value(value, column("float", "float"))
    assert caught.value.details["column"] == "x"


def test_types_that_no_transform_can_use_have_no_kind() -> None:
    assert kind_of("binary") is None
    assert kind_of("list<item: int64>") is None
    assert kind_of("time64[us]") is None
    assert kind_of("decimal128(12, 2)") == "float"
