"""The history of what servers measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from aimass.core.endpoints.status import MetricSample, ModelSample
from aimass.core.errors import CorruptDataError
from aimass.core.monitoring import samples as module
from aimass.core.monitoring.samples import (
    CoarseSamples,
    coarse_samples,
    keep_samples,
    newest_sample,
    read_samples,
    samples_folder,
)
from aimass.core.storage import Store
from tests.unit.core.monitoring.watching import HOUR, START

MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def sample(minute: float, server: str = "one", **own: object) -> MetricSample:
    models = {"late": ModelSample.model_validate({"requests": 60, "errors": 1, "p99_ms": minute, **own})}
    return MetricSample(
        at=START + MINUTE * minute, interval_s=60, server_id=server, cpu_share=minute / 100, rss_bytes=int(minute),
        read_bytes=10, models=models,
    )  # fmt: skip


def keep(store: Store, samples: Sequence[MetricSample]) -> None:
    keep_samples(store, "flights", "late", samples)


def coarse(store: Store, *, points: int = 6) -> CoarseSamples:
    return coarse_samples(store, "flights", "late", since=START, until=START + HOUR, points=points)


def test_what_two_askings_bring_is_there_once(store: Store) -> None:
    keep(store, [sample(minute) for minute in range(1, 31)])
    keep(store, [sample(minute) for minute in range(21, 61)])
    found = read_samples(store, "flights", "late", since=START + 10 * MINUTE, until=START + 50 * MINUTE)
    assert [each.at for each in found] == [START + minute * MINUTE for minute in range(11, 51)]
    assert newest_sample(store, "flights", "late") == START + HOUR


def test_a_long_time_is_joined_to_few_points_and_loses_nothing(store: Store) -> None:
    keep(store, [sample(minute) for minute in range(-5, 31)])
    keep(store, [sample(minute) for minute in range(21, 66)])
    [points] = coarse(store).servers.values()
    assert [each.at for each in points] == [START + 10 * number * MINUTE for number in range(1, 7)]
    first = points[0]
    assert (first.interval_s, first.read_bytes, first.rss_bytes) == (600, 100, 10)
    assert first.cpu_share == pytest.approx(0.055)
    assert first.models["late"].p99_ms == 10
    assert sum(each.models["late"].requests for each in points) == 60 * 60


def test_a_server_that_was_down_has_no_points_meanwhile(store: Store) -> None:
    minutes = [*range(1, 11), *range(41, 61)]
    keep(store, [*(sample(minute) for minute in minutes), *(sample(minute, "two") for minute in range(1, 61))])
    servers = coarse(store).servers
    assert (len(servers["one"]), len(servers["two"])) == (3, 6)


def test_of_very_many_askings_some_are_read_evenly_spread(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for last in range(5, 61, 5):
        keep(store, [sample(minute) for minute in range(last - 4, last + 1)])
    monkeypatch.setattr(module, "MOST_READ", 4)
    found = coarse(store, points=60)
    assert (found.askings, found.read) == (12, 4)
    assert [each.at for each in found.servers["one"]][-1] == START + HOUR
    assert len(found.servers["one"]) == 4 * 5


def test_nothing_was_kept(store: Store) -> None:
    assert coarse(store) == ({}, 0, 0)
    assert read_samples(store, "flights", "late") == []


def test_a_damaged_file_is_named(store: Store) -> None:
    keep(store, [sample(1)])
    [name] = store.list(samples_folder(store, "flights", "late"))
    store.publish(f"{samples_folder(store, 'flights', 'late')}/{name}", b'[{"at": ')
    for read in (lambda: read_samples(store, "flights", "late"), lambda: coarse(store)):
        with pytest.raises(CorruptDataError, match=name):
            read()
