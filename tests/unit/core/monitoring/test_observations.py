from __future__ import annotations

from datetime import timedelta

import pytest

from aimass.core.endpoints.status import MetricSample, ModelSample, RegistryStatus, ServedModel, ServerStatus
from aimass.core.monitoring.observations import observe
from aimass.core.monitoring.result import (
    ColumnDrift,
    Drift,
    DriftTest,
    MonitorResult,
    Quality,
    QualityFigure,
    VersionQuality,
)
from tests.unit.core.monitoring.watching import HOUR, START, Walk, watch


def column(name: str, effect: float, *, alarm: bool) -> ColumnDrift:
    test = DriftTest(name="distribution", statistic=0.1, p=0.001, q=0.001, effect=effect, alarm=alarm)
    shares = {"missing_share": 0.0, "reference_missing_share": 0.0}
    return ColumnDrift(column=name, kind="float", rows=300, reference_rows=1000, tests=[test], **shares)


def result(**others: object) -> MonitorResult:
    document = {
        "uri": "file:///window",
        "model": "late",
        "project": "flights",
        "alias": "champion",
        "version": "2",
        "model_digest": "0" * 64,
        "start": START,
        "end": START + HOUR,
        "rows": 300,
        "rows_by_version": {"2": 300},
        "no_data": False,
        "metrics": {"rows": 300.0, "auc": 0.7, "log_loss": float("nan")},
    }
    return MonitorResult.model_validate({**document, **others})


def sample(minute: int, server: str, **model: object) -> MetricSample:
    at = START + timedelta(minutes=minute)
    served = {"late": ModelSample.model_validate(model)} if model else {}
    return MetricSample(
        at=at, interval_s=60, server_id=server, cpu_share=minute / 100, queue_rows=minute, models=served
    )


def status(**model: object) -> ServerStatus:
    models = [ServedModel.model_validate({"name": "late", **model})]
    return ServerStatus(
        server_id="one", started_at=START, generation=1, registry=RegistryStatus(reachable=True), models=models
    )


def test_what_the_monitor_found_is_seen_and_what_is_no_number_is_not() -> None:
    seen = observe(result())
    assert (seen.start, seen.end, seen.version, seen.source) == (START, START + HOUR, "2", "file:///window")
    assert seen.metrics == {"rows": 300.0, "auc": 0.7}


def quality(rows: int, *figures: QualityFigure) -> Quality:
    judged = VersionQuality(version="2", rows=rows, positives=rows // 3, figures=list(figures))
    return Quality(labels=rows, matched=rows, delay_p50_s=60, versions=[judged])


BAD_AUC = QualityFigure(metric="auc", value=0.2, low=0.17, high=0.23, at_release=0.9)
EVERYTHING_BAD = {"rows": 3.0, "auc": 0.2, "auc_high": 0.23, "drifted_columns": 9.0, "score_drift": 2.0}
AT_ONCE = {"k": 2, "n": 2, "above": None, "clear": None}


def test_a_window_without_data_gives_a_rule_nothing_to_act_on() -> None:
    rules = [
        {"name": "auc", "metric": "auc", **AT_ONCE, "below": 0.5},
        {"name": "upper", "metric": "auc_high", **AT_ONCE, "below": 0.5, "action": "retire"},
        {"name": "moved", "metric": "drifted_columns", **AT_ONCE, "above": 0},
        {"name": "score", "metric": "score_drift", **AT_ONCE, "above": 0.1, "action": "retrain"},
        {"name": "failing", "metric": "error_rate", **AT_ONCE, "above": 0.5},
        {"name": "quiet", "metric": "rows", **AT_ONCE, "below": 10, "action": "page"},
    ]
    walk = Walk(watch(*rules))
    for hour in range(5):
        times = {"start": START + hour * HOUR, "end": START + (hour + 1) * HOUR}
        empty = result(no_data=True, rows=3, metrics=EVERYTHING_BAD, quality=quality(9), **times)
        found = walk.judge(observe(empty, [sample(1, "one", requests=1, errors=2, p99_ms=9.0)], min_rows=200))
        readings = {reading.rule: reading.verdict for reading in found.readings}
        assert readings.pop("quiet") == "bad"
        assert set(readings.values()) == {"no_data"}
    assert walk.orders == []
    assert [event.rule for event in walk.events if event.kind == "fired"] == ["quiet"]
    assert all(state.standing == "no_data" for name, state in walk.state.rules.items() if name != "quiet")


def test_enough_labels_of_earlier_answers_are_judged_however_few_the_answers() -> None:
    """Labels come late: what they say is about answers of other windows, and as true in an empty one."""
    seen = observe(result(no_data=True, rows=0, metrics={"rows": 0.0}, quality=quality(1_200, BAD_AUC)))
    assert (seen.metrics["auc"], seen.metrics["auc_high"], seen.metrics["rows"]) == (0.2, 0.23, 0.0)
    assert seen.metrics["auc_loss"] == pytest.approx(0.7)
    of_another = observe(result(no_data=True, version="3", metrics={}, quality=quality(1_200, BAD_AUC)))
    assert "auc" not in of_another.metrics


def test_latency_and_errors_of_a_few_requests_are_unknown() -> None:
    few = [sample(1, "one", requests=100, errors=99, p99_ms=9.0), sample(2, "one", p99_ms=3.0)]
    assert not {"error_rate", "p99_ms"} & observe(result(), few, min_rows=200).metrics.keys()
    many = [sample(1, "one", requests=3, rows=3_000, errors=1, p99_ms=9.0)]
    assert observe(result(), many, min_rows=200).metrics["error_rate"] == 0.25


def test_a_column_counts_where_its_move_is_certain_and_matters() -> None:
    columns = [column("dep_delay", 3.5, alarm=True), column("hour", 0.4, alarm=False)]
    answers = column("probability", 0.1, alarm=False)
    drift = Drift(alpha=0.01, min_effect=0.1, tests=4, columns=columns, probability=answers, label=answers)
    metrics = observe(result(drift=drift.model_dump())).metrics
    assert (metrics["drift:dep_delay"], metrics["drift:hour"]) == (3.5, 0.0)


def test_servers_are_seen_together_at_their_worst() -> None:
    samples = [
        sample(1, "one", requests=90, errors=10, p50_ms=1.0, p99_ms=5.0),
        sample(2, "two", requests=100, errors=0, p50_ms=2.0, p99_ms=None),
        sample(9, "three"),
    ]
    metrics = observe(result(), samples).metrics
    assert (metrics["requests"], metrics["error_rate"]) == (190.0, 0.05)
    assert (metrics["p50_ms"], metrics["p99_ms"], metrics["queue_rows"]) == (2.0, 5.0, 2.0)


def test_nobody_asked_is_no_error_rate() -> None:
    metrics = observe(result(), [sample(1, "one", requests=0)]).metrics
    assert metrics["requests"] == 0
    assert "error_rate" not in metrics
    assert "requests" not in observe(result()).metrics


def test_servers_that_are_down_or_behind_are_counted() -> None:
    servers = {"up": status(), "behind": status(alarm="version 3 is corrupt"), "down": None}
    metrics = observe(result(), servers=servers).metrics
    assert (metrics["servers_down"], metrics["servers_behind"]) == (1.0, 1.0)


def test_a_server_without_the_model_is_behind() -> None:
    metrics = observe(result(), servers={"up": status(), "stranger": status(name="another")}).metrics
    assert (metrics["servers_down"], metrics["servers_behind"]) == (0.0, 1.0)
