from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferred
from mlflow import MlflowClient

from aimass.core.errors import ConfigError, NotFoundError
from aimass.core.monitoring.result import (
    ColumnDrift,
    Drift,
    DriftTest,
    MonitorResult,
    Quality,
    QualityFigure,
    VersionQuality,
    window_uri,
)
from aimass.core.testing.endpoints_contract import ROW
from aimass.sensors.drift import DriftSensor
from aimass.sensors.endpoint_health import EndpointHealthSensor
from aimass.sensors.metric import MetricSensor
from aimass.triggers import CONDITIONS
from aimass.triggers.condition import ConditionTrigger, condition_of
from tests.crash.customers import create_tracking_database
from tests.unit.provider.in_use import MODEL, REGISTRY, World, connect, context, make_world

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def events(condition: str, settings: dict[str, Any], *, for_s: float = 0) -> list[dict[str, Any]]:
    """Return what the trigger yields, made of what Airflow keeps of it."""
    made = ConditionTrigger(condition=condition, settings=settings, until=time.time() + for_s, poll_s=0.05)
    path, kept = made.serialize()
    assert path == f"{ConditionTrigger.__module__}.{ConditionTrigger.__name__}"
    trigger = ConditionTrigger(**json.loads(json.dumps(kept)))

    async def run() -> list[dict[str, Any]]:
        return [dict(event.payload) async for event in trigger.run()]

    return asyncio.run(run())


def column(name: str, *, drifted: bool) -> ColumnDrift:
    test = DriftTest(name="distribution", statistic=0.5, p=0.001, q=0.002, effect=0.4, alarm=drifted)
    return ColumnDrift(
        column=name,
        kind="float",
        rows=500,
        reference_rows=500,
        missing_share=0,
        reference_missing_share=0,
        tests=[test],
    )


def publish_window(
    world: World,
    hour: int,
    *,
    drifted: bool = False,
    no_data: bool = False,
    version: str = "3",
    quality: Quality | None = None,
    **metrics: float,
) -> None:
    drift = Drift(
        alpha=0.01, min_effect=0.1, tests=3, columns=[column("distance", drifted=drifted)],
        probability=column("probability", drifted=False), label=column("label", drifted=False),
    )  # fmt: skip
    start = NOON + timedelta(hours=hour)
    window = MonitorResult(
        uri=f"memory://window/{hour}", model=MODEL, project="shop", alias="champion", version=version, model_digest="d",
        start=start, end=start + timedelta(hours=1), rows=500, rows_by_version={version: 500}, no_data=no_data,
        quality=quality, drift=None if no_data else drift, metrics=metrics,
    )  # fmt: skip
    world.deps.store.publish(window_uri(world.deps.store, window), window.model_dump_json().encode())


SERVED = {"serving_conn_ids": ["aimass_serving"], "model": MODEL, "alias": "champion"}


def test_the_trigger_tells_when_it_is_so(world: World) -> None:
    (event,) = events("served", {**SERVED, "version": "3"})
    assert event["met"] is True


def test_the_trigger_gives_up_and_tells_what_it_saw_last(world: World) -> None:
    (event,) = events("served", {**SERVED, "version": "1"}, for_s=0.2)
    assert event == {"late": "aimass_serving: champion answers with version 3, not 1"}


def test_the_trigger_waits_through_a_server_that_is_down(world: World) -> None:
    world.server.down = True

    async def run() -> Any:
        trigger = ConditionTrigger(condition="served", settings=SERVED, until=time.time() + 20, poll_s=0.05)
        waiting = asyncio.ensure_future(anext(aiter(trigger.run())))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        world.server.down = False
        return (await waiting).payload

    assert asyncio.run(run())["met"] is True


def test_the_trigger_says_what_can_never_be(world: World) -> None:
    (event,) = events(
        "metric", {"source": "version", "model": "latte", "metric": "auc", "above": 0, "registry": REGISTRY}
    )
    assert "latte" in event["error"]
    (event,) = events("servd", {})
    assert "did you mean 'served'" in event["error"] or "served" in event["error"]


@pytest.mark.parametrize("name", CONDITIONS.names())
def test_conditions_are_described_and_strict(name: str) -> None:
    model = CONDITIONS.load(name)
    assert all(info.description for info in model.model_fields.values())
    with pytest.raises(ConfigError):
        condition_of(name, {"nonsense": 1})


def test_every_server_must_serve_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "second", store=world.deps.store.root)
    both = {**SERVED, "serving_conn_ids": ["aimass_serving", "second"]}
    assert condition_of("served", both).look().met
    world.server.down = True
    seen = condition_of("served", both).look()
    assert (seen.met, seen.told) == (False, "aimass_serving: is not ready")


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"model": "latte"}, "does not serve latte"), ({"alias": "canary"}, "canary answers with no version"),
     ({"alias": None, "version": "9"}, "version 9 is not in memory")],
)  # fmt: skip
def test_what_a_server_lacks_is_said(world: World, changes: dict[str, Any], told: str) -> None:
    assert told in condition_of("served", {**SERVED, **changes}).look().told


def test_the_health_sensor_returns_at_once_where_all_is_well(world: World) -> None:
    sensor = EndpointHealthSensor(task_id="s", model=MODEL, alias="champion")
    assert sensor.execute(context()) == {"servers": ["aimass_serving"]}


def test_the_health_sensor_waits_in_the_triggerer_or_in_the_task(world: World) -> None:
    world.server.down = True
    sensor = EndpointHealthSensor(task_id="s", timeout=60)
    with pytest.raises(TaskDeferred) as waiting:
        sensor.execute(context())
    assert waiting.value.trigger.settings["serving_conn_ids"] == ["aimass_serving"]
    assert sensor.execute_complete(context(), {"met": True, "value": {"a": 1}}) == {"a": 1}
    with pytest.raises(AirflowSensorTimeout, match="is not ready"):
        sensor.execute_complete(context(), {"late": "aimass_serving: is not ready"})
    in_task = EndpointHealthSensor(task_id="s", deferrable=False, timeout=0.2, poke_interval=0.1)
    with pytest.raises(AirflowSensorTimeout):
        in_task.execute(context())


def test_a_connection_that_does_not_exist_is_no_waiting(world: World) -> None:
    with pytest.raises(AirflowFailException, match="no connection 'elsewhere'"):
        EndpointHealthSensor(task_id="s", serving_conn_ids="elsewhere").execute(context())


def test_drift_is_that_of_the_newest_window_with_data(world: World) -> None:
    sensor = DriftSensor(task_id="s", model=MODEL, project="shop")
    with pytest.raises(TaskDeferred):
        sensor.execute(context())
    publish_window(world, 0, drifted=True)
    assert sensor.execute(context())["columns"] == ["distance"]
    publish_window(world, 1, no_data=True)
    assert sensor.execute(context())["uri"] == "memory://window/0"
    publish_window(world, 2)
    with pytest.raises(TaskDeferred):
        sensor.execute(context())


def test_a_metric_of_a_window_or_a_version(world: World) -> None:
    late = {"source": "window", "model": MODEL, "project": "shop", "metric": "auc", "below": 0.6}
    with pytest.raises(TaskDeferred):
        MetricSensor(task_id="s", of=late).execute(context())
    publish_window(world, 0, auc=0.55)
    assert MetricSensor(task_id="s", of=late).execute(context())["value"] == 0.55
    version = {"source": "version", "model": MODEL, "metric": "auc", "above": 0.7, "registry": REGISTRY}
    found = MetricSensor(task_id="s", of=version).execute(context())
    assert found == {"metric": "auc", "value": 0.7, "model": MODEL, "version": "3"}
    with pytest.raises(TaskDeferred):
        MetricSensor(task_id="s", of={**version, "above": 0.8}).execute(context())
    assert condition_of("metric", {**version, "version": "2"}).look().value["version"] == "2"


LATE = {"source": "window", "model": MODEL, "project": "shop", "metric": "auc", "above": 0.65}


def test_the_newest_window_that_has_the_metric_counts_however_few_its_answers(world: World) -> None:
    publish_window(world, 0, auc=0.93)
    publish_window(world, 40, no_data=True, version="2", rows=3, auc=0.2, labels=1_200)
    publish_window(world, 41, no_data=True, version="2", rows=0)
    seen = condition_of("metric", LATE).look()
    assert (seen.met, seen.told) == (False, "auc is 0.2")
    below = condition_of("metric", {**LATE, "above": None, "below": 0.5}).look()
    assert (below.value["value"], below.value["version"]) == (0.2, "2")
    assert below.value["start"] == "2026-04-03T04:00:00+00:00"


@pytest.mark.parametrize("since", ["2026-04-01T12:00:01", "2026-04-01 12:00:00.5+00:00", "2026-04-01T15:00:01+03:00"])
def test_windows_that_began_before_do_not_count(world: World, since: str) -> None:
    publish_window(world, 0, drifted=True, auc=0.93)
    metric, drift = {**LATE, "since": since}, {"model": MODEL, "project": "shop", "since": since}
    assert not condition_of("metric", metric).look().met
    assert not condition_of("drift", drift).look().met
    publish_window(world, 1, drifted=True, auc=0.94)
    assert condition_of("metric", metric).look().value["value"] == 0.94
    assert condition_of("drift", drift).look().value["uri"] == "memory://window/1"


def test_a_version_is_judged_by_its_own_labels_whichever_is_watched(world: World) -> None:
    """A challenger answers beside the champion, and the watch file is the champion's."""
    figures = {version: QualityFigure(metric="auc", value=auc, low=auc - 0.1, high=auc + 0.1)
               for version, auc in (("3", 0.9), ("4", 0.6))}  # fmt: skip
    judged = [VersionQuality(version=version, rows=500, positives=90, figures=[f]) for version, f in figures.items()]
    publish_window(world, 0, auc=0.9, quality=Quality(labels=1_000, matched=1_000, versions=judged))
    publish_window(world, 1, auc=0.9, quality=Quality(labels=500, matched=500, versions=judged[:1]))
    seen = condition_of("metric", {**LATE, "version": "4"}).look()
    assert (seen.met, seen.told) == (False, "auc is 0.6")
    found = condition_of("metric", {**LATE, "version": "4", "metric": "auc_low", "above": 0.45}).look()
    assert (found.value["version"], found.value["uri"]) == ("4", "memory://window/0")
    assert condition_of("metric", {**LATE, "version": "3"}).look().value["uri"] == "memory://window/1"
    assert not condition_of("drift", {"model": MODEL, "project": "shop", "version": "4"}).look().met
    waiting = MetricSensor(task_id="s", of={**LATE, "version": "4", "since": "2026-04-01T12:00:00Z"})
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute(context())
    assert condition_of("metric", json.loads(json.dumps(deferred.value.trigger.settings))).look().told == "auc is 0.6"


def test_a_metric_of_a_run(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_tracking_database(tmp_path / "mlflow.db")
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("AIRFLOW__AIMASS__TRACKING_URI", address)
    client = MlflowClient(address)
    run_id = client.create_run(client.create_experiment("shop")).info.run_id
    of = {"source": "run", "run_id": run_id, "metric": "auc", "above": 0.7}
    with pytest.raises(TaskDeferred):
        MetricSensor(task_id="s", of=of).execute(context())
    client.log_metric(run_id, "auc", 0.6, step=1)
    assert condition_of("metric", of).look().told == "auc is 0.6"
    client.log_metric(run_id, "auc", 0.75, step=2)
    assert MetricSensor(task_id="s", of=of).execute(context()) == {"metric": "auc", "value": 0.75, "run_id": run_id}
    (event,) = events("metric", of)
    assert event["value"]["value"] == 0.75
    (unknown,) = events("metric", {**of, "run_id": "0" * 32})
    assert "0" * 32 in unknown["error"]


@pytest.mark.parametrize(
    ("of", "told"),
    [({"source": "run", "metric": "auc", "above": 1}, "run_id"),
     ({"source": "window", "model": "m", "metric": "a"}, "needs"),
     ({"source": "windo", "metric": "a", "above": 1}, "window")],
)  # fmt: skip
def test_a_metric_that_cannot_be_read_is_refused(of: dict[str, Any], told: str) -> None:
    with pytest.raises(AirflowFailException, match=told):
        MetricSensor(task_id="s", of=of).execute(context())


def test_a_version_is_used_until_nobody_has_asked_for_a_while(world: World) -> None:
    settings = {"model": MODEL, "version": "3", "serving_conn_ids": ["aimass_serving"], "registry": REGISTRY}
    world.endpoint.predict(MODEL, [ROW])
    seen = condition_of("unused", {**settings, "grace_minutes": 10}).look()
    assert not seen.met
    told = seen.told.split("; ")
    assert told[0].startswith(f"version 3 of {MODEL} was asked last at ")
    assert told[1] == "alias champion"
    assert told[2].startswith("aimass_serving (ready): 1 requests since it started, the last at ")
    assert told[3].endswith("rows in the prediction log of the last seven days")
    assert condition_of("unused", {**settings, "grace_minutes": 0}).look().met
    with pytest.raises(NotFoundError):
        condition_of("unused", {**settings, "version": "9"}).look()
