from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimass.serving.context import PredictionRecord, Resolved
from aimass.serving.journal import (
    DroppedFrame,
    JournalFile,
    WorkerJournal,
    read_frames,
    taken,
    unsealed_bytes,
)
from aimass.serving.loaded import LoadedModel
from aimass.serving.requests import Recent, RequestFrame, VersionFrame
from tests.services.folder_registry import ROW
from tests.unit.serving.loaded_models import tiny

MODEL = tiny()


def record(loaded: LoadedModel = MODEL, rows: int = 2, request_id: str = "r") -> PredictionRecord:
    block = loaded.encoder.encode([ROW] * rows)
    return PredictionRecord(Resolved(loaded, "champion"), request_id, 1.7e9, 0.5, block, *loaded.run(block))


def journal(folder: Path, limit: int = 1 << 20, sample: float = 1.0) -> WorkerJournal:
    return WorkerJournal(JournalFile(folder, 0, limit), sample, 1, Recent(100))


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.journal"))


def test_a_request_is_on_disk_when_append_returns_and_the_version_stands_before_it(tmp_path: Path) -> None:
    journal(tmp_path).append(record())
    version, request = read_frames(files(tmp_path)[0])
    assert isinstance(version, VersionFrame)
    assert (version.model, version.version, version.project) == ("late", "1", "flights")
    assert version.columns == [("origin", "string"), ("distance", "float"), ("stops", "int")]
    assert isinstance(request, RequestFrame)
    assert request.strings == [["JFK", "JFK"]]


def test_nobody_takes_a_journal_that_is_being_written_and_anybody_one_that_is_not(tmp_path: Path) -> None:
    writer = journal(tmp_path)
    writer.append(record())
    with taken(files(tmp_path)[0]) as ours:
        assert not ours
    assert writer.rotate(0)
    with taken(files(tmp_path)[0]) as ours:
        assert ours
        with taken(files(tmp_path)[0]) as twice:
            assert not twice
    with taken(tmp_path / "gone.journal") as ours:
        assert not ours
    assert not writer.rotate(0)
    writer.append(record())
    assert len(files(tmp_path)) == 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 2000), damage=st.booleans())
def test_a_cut_or_damaged_journal_gives_its_whole_frames(tmp_path: Path, cut: int, damage: bool) -> None:
    folder = Path(os.fsdecode(os.urandom(4).hex()))
    folder = tmp_path / folder
    folder.mkdir()
    writer = journal(folder)
    for number in range(5):
        writer.append(record(request_id=str(number)))
    writer.rotate(0)
    path = files(folder)[0]
    data = bytearray(path.read_bytes())
    at = min(cut, len(data) - 1)
    if damage:
        data[at] ^= 0xFF
    path.write_bytes(data if damage else data[:at])
    found = [frame.request_id for frame in read_frames(path) if isinstance(frame, RequestFrame)]
    assert found == [str(number) for number in range(len(found))]


def test_what_finds_no_room_is_counted_and_said_in_the_journal(tmp_path: Path) -> None:
    writer = journal(tmp_path, limit=2000)
    for _ in range(50):
        writer.append(record())
    assert writer.dropped_rows > 0
    writer.rotate(0)
    said = sum(frame.rows for frame in read_frames(files(tmp_path)[0]) if isinstance(frame, DroppedFrame))
    assert said == writer.dropped_rows
    # Nothing was sealed meanwhile, so there is no room yet; then there is.
    writer.append(record())
    assert writer.dropped_rows == said + 2
    writer.rotate(0)
    writer.append(record())
    assert writer.dropped_rows == said + 2


def test_a_disk_without_room_costs_frames_and_never_half_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = journal(tmp_path)
    writer.append(record(request_id="first"))
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:10]))
    writer.append(record(request_id="lost"))
    monkeypatch.undo()
    writer.append(record(request_id="last"))
    found = [frame.request_id for frame in read_frames(files(tmp_path)[0]) if isinstance(frame, RequestFrame)]
    assert found == ["first", "last"]
    assert writer.dropped_rows == 2


def test_a_sample_is_a_sample_and_none_keeps_none(tmp_path: Path) -> None:
    writer = journal(tmp_path, sample=0.5)
    for _ in range(400):
        writer.append(record(rows=1))
    kept = sum(isinstance(frame, RequestFrame) for frame in read_frames(files(tmp_path)[0]))
    assert 140 < kept < 260
    nothing = WorkerJournal(None, 1.0, 1, Recent(10))
    nothing.append(record())
    assert not nothing.rotate(0)
    assert unsealed_bytes(tmp_path) == files(tmp_path)[0].stat().st_size
