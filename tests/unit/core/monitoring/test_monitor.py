"""The monitor stage on a released model and its prediction log."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import polars as pl
import pytest

from aimass.core.artifacts import Artifact
from aimass.core.deps import Deps
from aimass.core.endpoints.status import MetricSample, ModelSample
from aimass.core.errors import ConfigError, NotFoundError, SchemaMismatchError
from aimass.core.features.canonical import readable
from aimass.core.features.graph import FeatureGraph
from aimass.core.monitoring import log
from aimass.core.monitoring.result import MonitorResult, read_windows
from aimass.core.monitoring.samples import keep_samples
from tests.releasing import make_release, raw_rows, run
from tests.searching import make_deps
from tests.unit.core.monitoring.logged import NOON, labels, predictions, publish_segment

HOUR = timedelta(hours=1)


class World:
    """A released model, and traffic that it answers."""

    def __init__(self, deps: Deps) -> None:
        self.deps = deps
        config = make_release(deps, [{"type": "lightgbm", "n_estimators": 10}], rows=4_000)
        self.released = run(deps, "release", **config)
        self._graph = FeatureGraph.load(Artifact(config["features"], deps))
        self._session = ort.InferenceSession(Artifact(self.released.uri, deps).read_bytes("model.onnx"))

    def serve(self, raw: pl.DataFrame, **facts: Any) -> pl.DataFrame:
        """Answer raw rows and log them; return the log."""
        probability, label = self._session.run(["probability", "label"], self._graph.encode(raw))
        names = [column.name for column in self._graph.raw]
        kinds = {column.name: column.kind for column in self._graph.raw}
        canonical = readable(self._graph.canonical(raw.lazy()).select(names), kinds).collect()
        rows = predictions(canonical, probability, label, **facts)
        publish_segment(self.deps, "late", rows, what=log.PREDICTIONS, version=facts.get("version", "1"))
        return rows

    def monitor(self, hours: float, **config: Any) -> MonitorResult:
        """Judge the window that starts `hours` after noon."""
        start = NOON + HOUR * hours
        window = {"start": start.isoformat(), "end": (start + HOUR).isoformat()}
        registry = {"type": "memory"}
        return run(self.deps, "monitor", model="late", registry=registry, **window, **config)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(make_deps(tmp_path_factory.mktemp("store")))
    healthy = raw_rows(1_200, seed=5)
    answered = world.serve(healthy)
    known = labels(answered, healthy["late"], delay=timedelta(hours=2))
    publish_segment(world.deps, "late", known, what=log.LABELS)
    broken = raw_rows(1_200, seed=6).with_columns(pl.col("distance") * 60, carrier=pl.lit("ZZ"))
    world.serve(broken, start=NOON + HOUR)
    return world


def test_a_healthy_window_is_judged_and_raises_no_alarm(world: World) -> None:
    found = world.monitor(0)
    assert (found.version, found.rows, found.no_data) == ("1", 1_200, False)
    assert found.model_digest == world.released.model_digest
    assert found.drift is not None
    assert found.drift.drifted == []
    assert found.metrics["drifted_columns"] == 0
    assert found.metrics["score_drifted"] == 0
    assert found.quality is None
    assert "auc" not in found.metrics


def test_a_broken_feed_is_named(world: World) -> None:
    found = world.monitor(1)
    assert found.drift is not None
    assert found.drift.drifted == ["carrier", "distance"]
    carrier = found.drift.columns[0]
    assert carrier.unseen_share == 1.0
    assert found.metrics["drifted_columns"] == 2
    assert found.metrics["largest_effect"] > 1


def test_labels_are_judged_in_the_window_in_which_they_become_known(world: World) -> None:
    found = world.monitor(2)
    assert found.no_data
    assert found.drift is None
    assert found.quality is not None
    assert (found.quality.labels, found.quality.matched) == (1_200, 1_200)
    assert found.quality.delay_p50_s == pytest.approx(7_200)
    [judged] = found.quality.versions
    auc = judged.figures[0]
    assert 0.6 < auc.low < auc.value < auc.high < 0.9
    assert auc.at_release == pytest.approx(world.released.metrics["auc"])
    assert found.metrics["auc_loss"] == pytest.approx(auc.at_release - auc.value)
    assert found.metrics["labels"] == 1_200


def test_an_empty_window_is_no_data_and_names_the_version_under_the_alias(world: World) -> None:
    found = world.monitor(9)
    assert (found.version, found.rows, found.no_data, found.metrics) == ("1", 0, True, {"rows": 0})


def test_the_same_window_is_judged_once_until_more_rows_arrive(world: World) -> None:
    first = world.monitor(20)
    assert world.monitor(20).reused
    world.serve(raw_rows(300, seed=9), start=NOON + HOUR * 20)
    again = world.monitor(20)
    assert not again.reused
    assert again.uri != first.uri
    [shown] = read_windows(world.deps.store, world.deps.project, "late", since=NOON + HOUR * 20)
    assert shown.rows == again.rows == 300
    assert shown.report == again.report


def test_only_rows_of_the_window_and_of_the_judged_version_count(world: World) -> None:
    world.serve(raw_rows(400, seed=11), start=NOON + HOUR * 29.5)
    world.serve(raw_rows(300, seed=12), start=NOON + HOUR * 30, version="2", alias="challenger")
    found = world.monitor(30)
    assert found.version == "1"
    assert found.rows_by_version == {"1": 160, "2": 300}
    assert found.no_data
    challenger = world.monitor(30, alias="challenger")
    assert (challenger.version, challenger.rows) == ("2", 300)
    assert challenger.drift is None
    assert "no version 2" in challenger.warnings[0]


def test_columns_may_be_left_out_and_must_exist(world: World) -> None:
    found = world.monitor(1, drift={"skip": ["carrier"]})
    assert found.drift is not None
    assert found.drift.drifted == ["distance"]
    with pytest.raises(SchemaMismatchError, match="Did you mean 'carrier'"):
        world.monitor(1, drift={"skip": ["carriers"]})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"start": "2026-04-01T12:00:00", "end": "2026-04-01T12:00:00"}, "after its start"),
        ({"start": "2026-04-01", "end": "2026-04-02", "quality": {"metrics": ["auk"]}}, "auc"),
    ],
)
def test_an_impossible_configuration_is_refused(world: World, config: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        run(world.deps, "monitor", model="late", registry={"type": "memory"}, **config)


def test_a_model_that_does_not_exist_is_refused(world: World) -> None:
    window = {"start": "2026-04-01T12:00:00Z", "end": "2026-04-01T13:00:00Z"}
    with pytest.raises(NotFoundError, match="no model 'lata'"):
        run(world.deps, "monitor", model="lata", registry={"type": "memory"}, **window)


def test_the_page_says_what_drifted_in_both_languages(world: World, tmp_path: Path) -> None:
    found = world.monitor(1)
    page = world.deps.store.read_bytes(found.report).decode()
    assert "2 columns drifted." in page
    assert "carrier" in page
    assert "漂移" in world.deps.store.read_bytes(found.report.replace("report.html", "report.zh.html")).decode()


def test_answers_differ_where_the_columns_do(world: World) -> None:
    drift = world.monitor(1).drift
    assert drift is not None
    assert np.isfinite(drift.probability.effect)
    assert drift.probability.reference_rows == drift.label.reference_rows


def test_evidently_rests_where_nothing_drifted(world: World) -> None:
    found = world.monitor(0, evidently="alarm")
    assert (found.evidently, found.warnings) == ("", [])


def test_a_window_is_judged_without_evidently_where_it_is_not_installed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "evidently", None)
    found = world.monitor(1, evidently="always")
    assert found.drift is not None
    assert found.evidently == ""
    assert "airflow-provider-aimass[airflow]" in found.warnings[0]


def test_the_report_tells_what_the_servers_measured_in_the_window(world: World) -> None:
    before = world.monitor(40)
    assert before.serving is None
    assert "99th percentile of the latency" not in world.deps.store.read_bytes(before.report).decode()
    own = ModelSample(requests=1_234, errors=66, p50_ms=0.7, p99_ms=41.5)
    outside = ModelSample(requests=9, p99_ms=999.0)
    samples = [
        MetricSample(at=NOON + HOUR * hours, interval_s=10, server_id="one", rss_bytes=90 << 20, models={"late": model})
        for hours, model in ((40.0, outside), (40.5, own), (41.5, outside))
    ]
    keep_samples(world.deps.store, world.deps.project, "late", samples)
    found = world.monitor(40)
    assert not found.reused
    assert found.serving is not None
    assert (found.serving.requests, found.serving.p99_ms) == (1_234, 41.5)
    report = world.deps.store.read_bytes(found.report).decode()
    for figure in ("1,234", "5.1 %", "0.7 ms", "41.5 ms", "90 MB"):
        assert figure in report
    chinese = world.deps.store.read_bytes(found.report.replace("report.html", "report.zh.html")).decode()
    assert "延迟的第 99 百分位" in chinese
    assert world.monitor(40).reused


@pytest.mark.slow
def test_evidently_reports_on_a_sample_beside_our_page(world: World) -> None:
    found = world.monitor(1, evidently="alarm")
    assert found.warnings == []
    assert b"Drift is detected for" in world.deps.store.read_bytes(found.evidently)
    assert "evidently.html" in world.deps.store.read_bytes(found.report).decode()
