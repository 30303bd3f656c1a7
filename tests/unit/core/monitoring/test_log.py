"""Which segments belong to a window, and how their rows are read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from aimass.core.access import ReadRequest
from aimass.core.deps import Deps
from aimass.core.errors import NotAllowedError
from aimass.core.monitoring import log
from tests.searching import make_deps
from tests.unit.core.monitoring.logged import NOON, labels, predictions, publish_segment

HOUR = timedelta(hours=1)


class Nobody:
    """A policy that lets nobody read."""

    def check(self, request: ReadRequest) -> None:
        raise NotAllowedError(f"{request.principal} may not read {request.resource}")


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return make_deps(tmp_path)


def rows(count: int = 60, *, hours: float = 0, **raw: object) -> pl.DataFrame:
    frame = pl.DataFrame({"x": range(count), **raw})
    return predictions(frame, [0.5] * count, start=NOON + HOUR * hours, minutes=60)


def found(deps: Deps, start: float, end: float) -> list[log.Segment]:
    return log.segments(deps.store, deps.project, "late", NOON + HOUR * start, NOON + HOUR * end)


def test_a_segment_that_reaches_into_the_window_is_read_and_cut(deps: Deps) -> None:
    publish_segment(deps, "late", rows(), what=log.PREDICTIONS, version="1")
    window = (NOON + HOUR / 2, NOON + HOUR)
    [segment] = log.segments(deps.store, deps.project, "late", *window)
    assert log.scan_predictions([segment], deps, *window).collect()["x"].to_list() == list(range(30, 60))
    assert (segment.facts.version, segment.facts.rows) == ("1", 60)


@pytest.mark.parametrize(("start", "end"), [(-2, 0), (1, 2), (1.5, 9)])
def test_a_segment_outside_the_window_is_not_read(deps: Deps, start: float, end: float) -> None:
    publish_segment(deps, "late", rows(), what=log.PREDICTIONS, version="1")
    assert found(deps, start, end) == []


def test_what_has_no_manifest_does_not_exist(deps: Deps) -> None:
    uri = publish_segment(deps, "late", rows(), what=log.PREDICTIONS, version="1")
    deps.store.delete(f"{uri}/manifest.json")
    assert found(deps, 0, 1) == []


def test_other_files_in_the_folder_are_left_alone(deps: Deps) -> None:
    deps.store.publish(f"{log.log_folder(deps.store, deps.project, 'late')}/README", b"notes")
    assert found(deps, 0, 1) == []


def test_versions_with_other_columns_are_read_together(deps: Deps) -> None:
    publish_segment(deps, "late", rows(2), what=log.PREDICTIONS, version="1")
    publish_segment(deps, "late", rows(2, hours=0.1, y=["a", "b"]), what=log.PREDICTIONS, version="2")
    window = (NOON, NOON + HOUR)
    read = log.scan_predictions(found(deps, 0, 1), deps, *window, columns=["y", log.VERSION]).collect()
    assert read["y"].to_list() == [None, None, "a", "b"]
    assert set(read.columns) == {"y", log.VERSION}


def test_the_newest_label_of_a_row_counts(deps: Deps) -> None:
    answered = rows(3)
    publish_segment(deps, "late", labels(answered, [0, 0, 0], delay=HOUR * 2), what=log.LABELS)
    publish_segment(deps, "late", labels(answered[:1], [1], delay=HOUR * 2.5), what=log.LABELS)
    window = (NOON + HOUR * 2, NOON + HOUR * 4)
    told = log.segments(deps.store, deps.project, "late", *window, what=log.LABELS)
    read = log.scan_labels(told, deps, *window).sort(log.REQUEST_ID).collect()
    assert read[log.LABEL].to_list() == [1, 0, 0]


def test_pieces_are_the_same_rows(deps: Deps) -> None:
    publish_segment(deps, "late", rows(), what=log.PREDICTIONS, version="1")
    publish_segment(deps, "late", rows(hours=0.5), what=log.PREDICTIONS, version="1")
    window = (NOON + HOUR / 2, NOON + HOUR)
    told = log.segments(deps.store, deps.project, "late", *window)
    whole = log.scan_predictions(told, deps, *window, columns=["x"]).collect()
    pieces = [piece.collect() for piece in log.slice_predictions(told, deps, *window, columns=["x"])]
    assert pl.concat(pieces).equals(whole)
    assert whole.height == 60


def test_the_policy_is_asked(deps: Deps) -> None:
    publish_segment(deps, "late", rows(), what=log.PREDICTIONS, version="1")
    closed = Deps(deps.store, deps.runtime, access=Nobody())
    with pytest.raises(NotAllowedError):
        log.scan_predictions(found(deps, 0, 1), closed, NOON, NOON + HOUR)


def test_names_sort_by_time_and_say_the_version() -> None:
    name = log.segment_name(NOON, "host-8080", "3", 7)
    assert name == "20260401T120000Z-host-8080-v3-7"
