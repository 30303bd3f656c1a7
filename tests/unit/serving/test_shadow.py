from __future__ import annotations

import gc
import math
import weakref
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass.core.features.raw import RawColumn
from aimass.core.features.row_encoder import RowEncoder
from aimass.serving.config import ServeConfig
from aimass.serving.context import PredictionRecord, Resolved
from aimass.serving.loaded import LoadedModel
from aimass.serving.requests import Recent, RecentRequest, block_in, kinds_of, request_frame
from aimass.serving.shadow import TrialOutcome, block_of, cells_of, try_version
from aimass.serving.trial import Trial
from tests.services.folder_registry import ROW
from tests.unit.serving.loaded_models import tiny

COLUMNS = [
    RawColumn(name="text", type="string", kind="string"),
    RawColumn(name="number", type="double", kind="float"),
    RawColumn(name="count", type="int64", kind="int"),
    RawColumn(name="flag", type="bool", kind="bool"),
    RawColumn(name="since", type="int64", kind="date", unit="s"),
]
CELLS = st.fixed_dictionaries(
    {
        "text": st.none() | st.text(max_size=5),
        "number": st.none() | st.floats(allow_nan=False),
        "count": st.none() | st.integers(-(1 << 60), 1 << 60),
        "flag": st.none() | st.booleans(),
        "since": st.none() | st.integers(0, 1 << 31),
    }
)


def asked(loaded: LoadedModel, rows: list[dict[str, Any]], at: float = 1.0) -> PredictionRecord:
    block = loaded.encoder.encode(rows)
    return PredictionRecord(Resolved(loaded, "champion"), "r", at, 0.1, block, *loaded.run(block))


def recent(loaded: LoadedModel, rows: list[dict[str, Any]]) -> list[RecentRequest]:
    ring = Recent(100)
    keep(ring, loaded, asked(loaded, rows))
    return ring.newest(loaded.name, 100)


def keep(ring: Recent, loaded: LoadedModel, record: PredictionRecord) -> None:
    ring.append(loaded, record.block, request_frame(record, 0, 1))


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(CELLS, min_size=1, max_size=4))
def test_a_block_survives_the_way_to_cells_and_back(rows: list[dict[str, Any]]) -> None:
    encoder = RowEncoder(COLUMNS)
    block = encoder.encode(rows)
    again = block_of(cells_of(block, kinds_of(COLUMNS)), encoder, len(rows))
    for before, after in zip(block, again, strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_ring_keeps_the_newest_and_lets_go_of_models() -> None:
    ring = Recent(3)
    loaded = tiny()
    for number in range(5):
        keep(ring, loaded, asked(loaded, [ROW] * 40, float(number)))
    found = ring.newest("late", 1000)
    assert [request.frame.at for request in found] == [4.0, 3.0, 2.0]
    assert all(request.frame.n_rows == 16 for request in found)
    assert block_in(found[0].frame, found[0].columns).floats.tolist() == [[0.25] * 16]
    assert len(ring.newest("late", 20)) == 2
    assert ring.newest("other", 5) == []
    left = weakref.ref(loaded)
    del loaded
    gc.collect()
    assert left() is None


def test_a_good_version_answers_what_was_asked_of_the_one_before() -> None:
    outcome = try_version(tiny(bias=0.9), recent(tiny(), [ROW, ROW]))
    assert (outcome.rows, outcome.failed_rows, outcome.source) == (2, 0, "recent")
    assert 0 < outcome.mean_abs_diff <= outcome.max_abs_diff < 1
    assert outcome.p99_ms >= outcome.p50_ms > 0


def test_a_column_that_requests_lack_is_missing_in_them() -> None:
    assert try_version(tiny(extra="dep_delay"), recent(tiny(), [ROW])).failed_rows == 0


def test_a_column_of_another_kind_is_converted_or_the_row_fails() -> None:
    before = tiny(extra="code", kind="string")
    after = tiny(extra="code", kind="float")
    assert try_version(after, recent(before, [ROW | {"code": "7"}])).failed_rows == 0
    assert try_version(before, recent(after, [ROW | {"code": 7.5}])).failed_rows == 1


def test_nan_is_a_failure_and_without_requests_the_example_is_tried() -> None:
    outcome = try_version(tiny(bias=math.nan), [])
    assert (outcome.rows, outcome.failed_rows, outcome.source) == (1, 1, "example")
    assert "nan" in outcome.first_failure


def test_the_verdict_says_what_is_not_allowed() -> None:
    trial = Trial(ServeConfig(shadow_max_mean_diff=0.1, shadow_max_ms=1.0))
    good = trial._judge("late", "2", "1", TrialOutcome(rows=10, mean_abs_diff=0.05, p50_ms=0.5))
    assert good.ok
    assert not good.reasons
    bad = trial._judge("late", "2", "1", TrialOutcome(10, 1, 0.2, 0.3, 4, 2.0, 3.0, "recent", "it is NaN"))
    assert not bad.ok
    assert len(bad.reasons) == 3
    assert "it is NaN" in bad.reasons[0]
