"""The rules that we ship, on windows of a released model: healthy ones, and those of a feed that broke."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import onnxruntime as ort
import polars as pl
import pytest
import yaml

from aimass.core.artifacts import Artifact
from aimass.core.features.canonical import readable
from aimass.core.features.graph import FeatureGraph
from aimass.core.monitoring.drift import compare, watched
from aimass.core.monitoring.figures import window_figures
from aimass.core.monitoring.log import AT
from aimass.core.monitoring.observations import Observation, observe
from aimass.core.monitoring.profile import Profile
from aimass.core.monitoring.quality import KNOWN_AT, TRUTH, Released, assess
from aimass.core.monitoring.result import Drift, MonitorResult
from aimass.core.monitoring.rules import Watch
from tests.releasing import make_release, raw_rows, run
from tests.searching import make_deps
from tests.unit.core.monitoring.logged import predictions
from tests.unit.core.monitoring.watching import HOUR, START, Walk

HEALTHY, BROKEN = 1_000, 12
Windows = list[tuple[pl.DataFrame, Drift]]
"""The log of each with its labels, and its drift."""
Feed = Callable[[pl.DataFrame], pl.DataFrame]


class Served:
    """A released model, and its answers to rows that it has never seen.

    Windows are as small as the watch file allows: the smaller, the more chance decides.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        deps = make_deps(folder)
        config = make_release(deps, [{"type": "lightgbm", "n_estimators": 10}], rows=4_000)
        released = run(deps, "release", **config)
        package = Artifact(released.uri, deps)
        self.profile = Profile.from_document(json.loads(package.read_bytes("profile.json")))
        self.known = {"1": Released(metrics=released.metrics)}
        self.watch = shipped(root)
        self.rows = max(self.watch.min_rows, self.watch.quality.min_labels)
        self._graph = FeatureGraph.load(Artifact(config["features"], deps))
        self._session = ort.InferenceSession(package.read_bytes("model.onnx"))

    def answer(self, windows: int, *, seed: int, feed: Feed = lambda raw: raw) -> Windows:
        """Return windows of rows that reach the model through `feed`."""
        raw = raw_rows(windows * self.rows, seed=seed)
        fed = feed(raw)
        probability, label = self._session.run(["probability", "label"], self._graph.encode(fed))
        kinds = {column.name: column.kind for column in self._graph.raw}
        canonical = readable(self._graph.canonical(fed.lazy()).select(list(kinds)), kinds).collect()
        log = predictions(canonical, probability, label).with_columns(raw["late"].cast(pl.Int8).alias(TRUTH))
        return [(window, self._drift(window, seed)) for window in log.iter_slices(self.rows)]

    def judge(self, windows: Windows, walk: Walk, first: int = 0) -> list[Observation]:
        """Have the rules judge the windows, each an hour after the one before; return what they saw."""
        seen = []
        for place, (log, drift) in enumerate(windows, first):
            labelled = log.with_columns((pl.col(AT) + timedelta(minutes=1)).alias(KNOWN_AT))
            quality = assess(labelled, log.height, self.watch.quality, self.known)
            start = START + place * HOUR
            window = MonitorResult(
                model="late", project="world", alias="champion", version="1", model_digest="d", start=start,
                end=start + HOUR, rows=log.height, rows_by_version={"1": log.height}, no_data=False, drift=drift,
                quality=quality, metrics=window_figures(log.height, drift, quality, "1"),
            )  # fmt: skip
            seen.append(observe(window))
            walk.judge(seen[-1])
        return seen

    def _drift(self, log: pl.DataFrame, seed: int) -> Drift:
        raw = watched(self.profile.raw, self.watch.drift)
        return compare(self.profile, self.profile.window([log.lazy()], raw), self.watch.drift, seed=seed)


def wrong_way_round(raw: pl.DataFrame) -> pl.DataFrame:
    """Return rows of a clock that runs backwards, which no distribution shows: only labels tell."""
    return raw.with_columns(hour=23 - pl.col("hour"))


def shipped(root: Path) -> Watch:
    """Return the watch file of the flights, for a model of other columns; few are compared, to be done soon.

    Of the metrics of quality its rules look at AUC alone.
    """
    document = yaml.safe_load((root / "include" / "alerts" / "flights_late.yaml").read_text())
    document["drift"]["skip"] = ["hour", "scheduled", "distance"]
    document["quality"]["metrics"] = ["auc"]
    return Watch.model_validate(document)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Served:
    return Served(tmp_path_factory.mktemp("served"), root)


@pytest.fixture(scope="module")
def healthy(served: Served) -> Windows:
    return served.answer(HEALTHY, seed=11)


def weaker(windows: Windows, *, share: float) -> Windows:
    """Return the windows with a share of the labels drawn by chance: those of a model that knows less."""
    generator = np.random.default_rng(3)
    found = []
    for log, drift in windows:
        truth = log[TRUTH].to_numpy()
        by_chance = generator.uniform(size=len(truth)) < share
        truth = np.where(by_chance, generator.permutation(truth), truth)
        found.append((log.with_columns(pl.Series(TRUTH, truth)), drift))
    return found


def test_a_thousand_healthy_windows_of_a_weak_model_roll_back_nothing(served: Served, healthy: Windows) -> None:
    """Hardly better than guessing, in windows of 200 rows: one in eight looks worse than guessing, by chance."""
    walk = Walk(served.watch)
    seen = served.judge(weaker(healthy, share=0.85), walk)
    looked_bad = sum(window.metrics["auc"] < 0.5 for window in seen)
    assert HEALTHY // 20 < looked_bad < HEALTHY // 4
    assert walk.orders == []


def test_a_broken_feed_is_rolled_back_once(served: Served, healthy: Windows) -> None:
    """What decides is fed the wrong way round, as in the demo: answers become worse than guessing."""
    walk = Walk(served.watch)
    served.judge(healthy[:6], walk)
    assert walk.events == [] or {event.kind for event in walk.events} == {"no_data"}
    served.judge(served.answer(BROKEN, seed=12, feed=wrong_way_round), walk, 6)
    assert [(order.action, order.rules) for order in walk.orders] == [("rollback", ["worse_than_guessing"])]
