"""What people really feed a platform: one clear error of the right kind, or a sensible result."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.customers import create_tracking_database
from tests.e2e.door import Door

pytestmark = pytest.mark.slow
TERMINAL, TRANSIENT = 1, 75
TO_SPLIT = ("ingest", "join", "split")
TO_TRAIN = (*TO_SPLIT, "clean", "featurize", "train")
SECRET = "hunter2secret"


@pytest.fixture(scope="module")
def tracking_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, which take seconds to create: made once, copied for each test."""
    path = tmp_path_factory.mktemp("tracking") / "mlflow.db"
    create_tracking_database(path)
    return path


@pytest.fixture
def door(tmp_path: Path, capfd: pytest.CaptureFixture[str], tracking_database: Path) -> Door:
    shutil.copy(tracking_database, tmp_path / "mlflow.db")
    return Door(tmp_path, capfd)


def table(folder: Path, *rows: str, header: str = "number,word,target", name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def good_rows(count: int = 200) -> list[str]:
    draw = random.Random(4)
    rows = []
    for _ in range(count):
        number = draw.random()
        rows.append(f"{number:.4f},{draw.choice('abc')},{int(draw.random() < number)}")
    return rows


def test_a_missing_file(door: Door, tmp_path: Path) -> None:
    answer = door.through(tmp_path / "nowhere.csv", "ingest")
    assert answer.code == TERMINAL
    assert "nowhere.csv" in answer.error


def test_an_empty_file(door: Door, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.touch()
    answer = door.through(path, *TO_SPLIT)
    assert answer.code == TERMINAL
    assert "empty" in answer.error.lower() or "no rows" in answer.error.lower()


def test_a_table_with_a_header_alone(door: Door, tmp_path: Path) -> None:
    answer = door.through(table(tmp_path), *TO_SPLIT)
    assert answer.code == TERMINAL
    assert "rows" in answer.error.lower()


def test_a_target_that_is_not_there_names_the_nearest(door: Door, tmp_path: Path) -> None:
    answer = door.through(table(tmp_path, *good_rows()), *TO_SPLIT, join={"target": {"name": "tarGet"}})
    assert answer.code == TERMINAL
    assert "Did you mean 'target'?" in answer.error


def test_a_constant_target(door: Door, tmp_path: Path) -> None:
    answer = door.through(table(tmp_path, *["0.5,a,1"] * 50), *TO_SPLIT)
    assert answer.code == TERMINAL
    assert "'target'" in answer.error
    assert "two" in answer.error


def test_a_target_with_nulls_is_refused_unless_they_may_be_dropped(door: Door, tmp_path: Path) -> None:
    rows = table(tmp_path, *good_rows(), "0.1,b,")
    answer = door.through(rows, *TO_SPLIT)
    assert answer.code == TERMINAL
    assert "null" in answer.error
    dropped = door.through(rows, *TO_SPLIT, join={"target": {"name": "target", "null": "drop"}})
    assert dropped.code == 0
    assert door.done["join"]["dropped_null_target"] == 1


def test_a_class_that_training_never_sees(door: Door, tmp_path: Path) -> None:
    rows = [f"{number},a,{int(number > 90)}" for number in range(100)]
    by_time = {"type": "time", "column": "number", "validation": 0.1, "test": 0.1}
    answer = door.through(
        table(tmp_path, *rows), *TO_TRAIN, join={"time_column": "number"}, split={"split": by_time}
    )  # fmt: skip
    assert answer.code == TERMINAL
    assert "class" in answer.error.lower()


def test_a_word_that_training_never_saw_is_no_error(door: Door, tmp_path: Path) -> None:
    rows = [f"{number},{'new' if number > 160 else 'abc'[number % 3]},{number % 2}" for number in range(200)]
    by_time = {"type": "time", "column": "number", "validation": 0.1, "test": 0.1}
    assert door.through(table(tmp_path, *rows), *TO_TRAIN, split={"split": by_time}).code == 0


def test_a_column_of_nulls_alone_is_left_out(door: Door, tmp_path: Path) -> None:
    rows = [f"{row},," for row in good_rows()]
    path = table(tmp_path, *rows, header="number,word,target,nothing,nowhere")
    assert door.through(path, *TO_TRAIN).code == 0


def test_mixed_types_are_read_as_words_or_kept_aside(door: Door, tmp_path: Path) -> None:
    path = table(tmp_path, *good_rows(), "not a number,a,1")
    assert door.through(path, "ingest").code == 0
    source = {"type": "files", "uri": path.as_uri(), "types": {"number": "float64"}}
    kept = door.through(path, "ingest", ingest={"source": source, "max_reject_share": 0.5})
    assert (kept.result["rows"], kept.result["rejected"]) == (200, 1)
    refused = door.through(path, "ingest", ingest={"source": source, "max_reject_share": 0.0})
    assert refused.code == TERMINAL
    assert "reject" in refused.error


def test_unicode_and_a_cell_of_10_megabytes(door: Door, tmp_path: Path) -> None:
    rows = [f"{number / 200},“数据”\u202e🛫,{number % 2}" for number in range(200)]
    path = table(tmp_path, *rows, f'0.5,"{"长" * 3_400_000}",1')
    answer = door.through(path, *TO_TRAIN)
    assert answer.code == 0, answer.error
    assert door.done["ingest"]["rows"] == 201


def test_two_thousand_columns(door: Door, tmp_path: Path) -> None:
    draw = random.Random(6)
    header = ",".join(f"column_{number}" for number in range(2_000)) + ",target"
    rows = [",".join(f"{draw.random():.3f}" for _ in range(2_000)) + f",{number % 2}" for number in range(120)]
    answer = door.through(table(tmp_path, *rows, header=header), *TO_TRAIN)
    assert answer.code == 0, answer.error
    assert len(door.done["featurize"]["features"]) >= 2_000


def test_a_wrong_tracking_address_is_tried_again_later_and_no_secret_is_told(door: Door, tmp_path: Path) -> None:
    door.tracking_uri = f"http://somebody:{SECRET}@127.0.0.1:1"
    answer = door.through(table(tmp_path, *good_rows()), *TO_TRAIN)
    assert answer.code == TRANSIENT
    assert "127.0.0.1:1" in answer.error
    assert SECRET not in answer.error


def test_an_unknown_parameter_names_the_nearest(door: Door, tmp_path: Path) -> None:
    path = table(tmp_path, *good_rows())
    models = [{"type": "decision_tree", "max_dept": 3}]
    answer = door.through(path, *TO_TRAIN, train={"models": models})
    assert answer.code == TERMINAL
    assert "max_depth" in answer.error
    family = door.through(path, *TO_TRAIN, train={"models": [{"type": "decision_forest"}]})
    assert family.code == TERMINAL
    assert "random_forest" in family.error


def test_an_absurd_parameter_says_what_is_possible(door: Door, tmp_path: Path) -> None:
    models = [{"type": "decision_tree", "max_depth": -3}]
    answer = door.through(table(tmp_path, *good_rows()), *TO_TRAIN, train={"models": models})
    assert answer.code == TERMINAL
    assert "max_depth" in answer.error
    assert "-3" in answer.error


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(8)
    rows = [f"{draw.random()},{draw.getrandbits(400):x},{number % 2}" for number in range(30_000)]
    path = table(tmp_path, *rows)
    answer = Door(small_disk, capfd).through(path, "ingest")
    assert answer.code == TRANSIENT
    assert "No space left" in answer.error
    assert not list((small_disk / "store").rglob("manifest.json"))
