from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from aimass.core.deps import Deps, Runtime
from aimass.core.errors import UnreachableError
from aimass.core.monitoring.log import LABELS, PREDICTION_COLUMNS, scan_labels, scan_predictions, segments
from aimass.core.storage import Store
from aimass.core.testing.failpoints import FailAt, RecordingFailpoints
from aimass.serving.context import PredictionRecord, Resolved
from aimass.serving.journal import JournalFile, LabelFrame, WorkerJournal
from aimass.serving.loaded import LoadedModel
from aimass.serving.machine import runs_on
from aimass.serving.requests import Recent
from aimass.serving.sealing import seal_all
from tests.unit.serving.loaded_models import tiny

START = datetime(2026, 4, 1, 12, tzinfo=UTC)
ONE = tiny()
TWO = tiny(version="2", bias=0.9, extra="when", kind="int")
ROWS = [
    {"origin": "JFK", "distance": 0.25, "stops": 1},
    {"origin": None, "distance": None, "stops": None},
]


@pytest.fixture
def deps(tmp_path: Path) -> Deps:
    return Deps.from_runtime(Runtime(store=str(tmp_path / "store")))


def write(journals: Path, *loaded: LoadedModel, requests: int = 3) -> None:
    """Leave a journal as a worker that was killed leaves it."""
    folder = journals / "server"
    folder.mkdir(parents=True, exist_ok=True)
    file = JournalFile(folder, 0, 1 << 20)
    journal = WorkerJournal(file, 1.0, 1, Recent(10))
    for number in range(requests):
        for each in loaded:
            rows = [row | {"when": 5} for row in ROWS] if each is TWO else ROWS
            block = each.encoder.encode(rows)
            at = (START + timedelta(seconds=number)).timestamp()
            journal.append(
                PredictionRecord(
                    Resolved(each, "champion"), f"{each.version}-{number}", at, 0.5, block, *each.run(block)
                )
            )
    file.append(LabelFrame("late", "flights", START.timestamp(), [("1-0", 0, 1), ("1-0", 1, 0)]))
    file.close()


def read(deps: Deps) -> list[str]:
    """Return request and row of everything in the log, in order."""
    found = segments(deps.store, "flights", "late", START, START + timedelta(hours=1))
    frame = scan_predictions(found, deps, START, START + timedelta(hours=1)).collect()
    return sorted(f"{request} {row}" for request, row in frame.select("__request_id", "__row").rows())


def test_a_journal_becomes_a_segment_for_each_version_as_the_monitor_reads_them(tmp_path: Path, deps: Deps) -> None:
    write(tmp_path / "journals", ONE, TWO)
    done = seal_all(deps.store, tmp_path / "journals", sampled=0.5)
    assert (done.journals, done.rows, done.problems) == (1, 14, [])
    assert not list((tmp_path / "journals").rglob("*.journal"))
    found = segments(deps.store, "flights", "late", START, START + timedelta(hours=1))
    assert [(each.facts.version, each.facts.rows, each.facts.sampled) for each in found] == [
        ("1", 6, 0.5),
        ("2", 6, 0.5),
    ]
    assert found[0].facts.digest == ONE.digest
    assert found[0].facts.runs_on == runs_on()
    frame = scan_predictions(found[:1], deps, START, START + timedelta(hours=1)).collect()
    assert frame.columns == [*PREDICTION_COLUMNS, "origin", "distance", "stops"]
    assert frame.select("origin", "distance", "stops").rows()[:2] == [("JFK", 0.25, 1), (None, None, None)]
    expected, labels = ONE.run(ONE.encoder.encode(ROWS))
    assert frame["__probability"].to_numpy()[:2].view(np.uint32).tolist() == expected.view(np.uint32).tolist()
    assert frame["__label"].to_list()[:2] == labels.tolist()
    assert frame["__threads"].to_list()[0] == 1
    late = segments(deps.store, "flights", "late", START, START + timedelta(hours=1), what=LABELS)
    told = scan_labels(late, deps, START, START + timedelta(hours=1)).collect().sort("__row")
    assert told["__label"].to_list() == [1, 0]


def test_a_crash_at_any_point_neither_loses_nor_doubles_a_row(tmp_path: Path, deps: Deps) -> None:
    passed = RecordingFailpoints()
    write(tmp_path / "whole", ONE, TWO)
    seal_all(Store(str(tmp_path / "other")), tmp_path / "whole", sampled=1.0, failpoints=passed)
    assert {"part_staged", "segment_published", "journal_deleted"} <= set(passed.names)
    for nth, name in enumerate(passed.names):
        journals = tmp_path / f"journals-{nth}"
        write(journals, ONE, TWO)
        here = Deps.from_runtime(Runtime(store=str(tmp_path / f"store-{nth}")))
        times = passed.names[: nth + 1].count(name)
        with pytest.raises(KeyboardInterrupt):
            seal_all(here.store, journals, sampled=1.0, failpoints=FailAt(name, times))
        seal_all(here.store, journals, sampled=1.0)
        assert read(here) == sorted(f"{v}-{n} {row}" for v in (1, 2) for n in range(3) for row in (0, 1)), (name, times)


def test_a_store_that_cannot_be_written_leaves_the_journal_for_later(tmp_path: Path, deps: Deps) -> None:
    write(tmp_path / "journals", ONE)
    failing = FailAt("part_staged", error=UnreachableError("The store does not answer"))
    done = seal_all(deps.store, tmp_path / "journals", sampled=1.0, failpoints=failing)
    assert "does not answer" in done.problems[0]
    assert seal_all(deps.store, tmp_path / "journals", sampled=1.0).rows == 8


def test_a_journal_that_cannot_be_read_is_put_aside_and_keeps_no_other_from_the_log(tmp_path: Path, deps: Deps) -> None:
    write(tmp_path / "journals", ONE)
    strange = tmp_path / "journals" / "server" / "0.journal"
    strange.write_bytes(b"\x01\x00\x00\x00\x1f\xde\xe6\x9a\xc1")
    done = seal_all(deps.store, tmp_path / "journals", sampled=1.0)
    assert done.rows == 8
    assert len(read(deps)) == 6
