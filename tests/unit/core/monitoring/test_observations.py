from __future__ import annotations

from datetime import timedelta

from aimass.core.endpoints.status import MetricSample, ModelSample, RegistryStatus, ServedModel, ServerStatus
from aimass.core.monitoring.observations import observe
from aimass.core.monitoring.result import ColumnDrift, Drift, DriftTest, MonitorResult
from tests.unit.core.monitoring.watching import HOUR, START


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
