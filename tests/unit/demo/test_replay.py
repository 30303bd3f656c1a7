from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aimass.core.endpoints.base import LateLabel
from aimass.core.errors import SchemaMismatchError, UnreachableError
from aimass.core.monitoring.result import MonitorResult
from aimass.operators.sections import check_conf
from aimass.pipelines.load import load_pipeline
from aimass.pipelines.monitors import load_watch
from demo.replay import MOST_LABELS, Replay
from demo.story import MODEL, WATCH_FILE, improvement, window_line
from demo.traffic import LATER_COLUMN, PIPELINE, Flight, mirrored

BEGIN = datetime(2013, 4, 1, 9, tzinfo=UTC)


class Server:
    """Answers as version 1, which knows no `LATER_COLUMN`, then as version 2, which wants it, then as 1 again."""

    def __init__(self, versions: Sequence[str], *, down_at: int = -1) -> None:
        self.rows: list[dict[str, Any]] = []
        self.labels: list[LateLabel] = []
        self.refused = 0
        self._versions = versions
        self._down_at = down_at
        self._known = {"month"}

    def predict(self, model: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        number = len(self.rows)
        if number == self._down_at:
            self._down_at = -1
            raise UnreachableError("The server does not answer.")
        version = self._versions[number]
        wanted = {"month"} | ({LATER_COLUMN} if version == "2" else set())
        self._known |= wanted
        if not wanted <= set(rows[0]) <= self._known:
            self.refused += 1
            raise SchemaMismatchError("Not these columns")
        self.rows += rows
        return {"version": version, "request_id": f"r{number}"}

    def label(self, model: str, labels: Sequence[LateLabel]) -> None:
        self.labels += labels


def flights(count: int) -> list[Flight]:
    return [
        Flight(BEGIN + timedelta(hours=number), {"month": 4, LATER_COLUMN: number}, number % 3 == 0)
        for number in range(count)
    ]


def replayed(server: Server, count: int) -> Replay:
    replay = Replay(server, MODEL, flights(count), speed=1e9)  # type: ignore[arg-type] # all that it is asked for
    replay.run(threading.Event())
    return replay


def test_the_sender_follows_the_versions_and_no_flight_is_lost() -> None:
    server = Server([*"111222111"])
    replay = replayed(server, 9)
    assert dict(replay.sent) == {"1": 6, "2": 3}
    assert (replay.failed, server.refused, replay.ended) == (0, 1, True)
    assert [LATER_COLUMN in row for row in server.rows] == [False] * 3 + [True] * 6


def test_a_server_that_is_down_costs_one_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.replay.WAIT_AFTER_FAILURE_S", 0.0)
    replay = replayed(Server([*"1111"], down_at=1), 3)
    assert (replay.sent.total(), replay.failed, replay.last_failure) == (2, 1, "The server does not answer.")


def test_labels_come_a_day_later_and_are_told_again_where_nobody_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.replay.LABELS_EVERY_S", 0.0)
    server = Server(["1"] * 30)
    replayed(server, 30)
    assert [label.request_id for label in server.labels] == [f"r{number}" for number in range(6)]
    assert [label.label for label in server.labels[:4]] == [1, 0, 0, 1]
    assert len(server.labels) < MOST_LABELS


def test_it_stops_when_it_is_told_to() -> None:
    stop = threading.Event()
    stop.set()
    replay = Replay(Server([]), MODEL, flights(3), speed=1.0)  # type: ignore[arg-type] # it is not asked
    replay.run(stop)
    assert replay.ended
    assert replay.sent.total() == 0


def test_the_feed_that_goes_wrong_counts_the_other_way() -> None:
    assert mirrored({"month": 4, LATER_COLUMN: 12}) == {"month": 4, LATER_COLUMN: -12}
    assert mirrored({LATER_COLUMN: None}) == {LATER_COLUMN: None}


def test_the_pipeline_takes_the_improvement() -> None:
    pipeline = load_pipeline(PIPELINE)
    assert LATER_COLUMN not in (pipeline.columns or ())
    check_conf(improvement(), [section._asdict() for section in pipeline.sections()])


def test_the_watch_file_is_good_and_brings_the_model_back() -> None:
    watch = load_watch(WATCH_FILE)
    assert watch.model == MODEL
    assert [rule.metric for rule in watch.rules if rule.action == "rollback"] == ["auc_high"]


def test_a_window_is_told_in_a_line() -> None:
    empty = {"model": MODEL, "project": "flights", "alias": "champion", "version": None, "model_digest": ""}
    times = {"start": BEGIN, "end": BEGIN + timedelta(minutes=1)}
    nothing = MonitorResult.model_validate({**empty, **times, "rows": 0, "rows_by_version": {}, "no_data": True})
    assert window_line(nothing) == "window 09:00 UTC: too few answers to judge (0)"
    some = nothing.model_copy(update={"version": "2", "rows": 2_000, "no_data": False, "metrics": {"auc": 0.9}})
    assert window_line(some) == "window 09:00 UTC: version 2, 2,000 answers, AUC 0.900"
