"""Versions in memory: what is loaded, what is refused, what a run costs, what workers count together."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aimass.core.errors import ConfigError, CorruptDataError
from aimass.serving.costs import Costs
from aimass.serving.errors import answer_of
from aimass.serving.loaded import LoadedModel
from aimass.serving.logs import JsonFormatter, Throttle
from aimass.serving.security import Tokens
from tests.services.asking import load
from tests.services.folder_registry import COLUMNS, ROW, write_model


def load_files(folder: Path) -> LoadedModel:
    return LoadedModel.load(folder / "model.onnx", folder / "graph.json", name="late", version="1", digest="d")


def test_a_row_alone_and_in_a_batch_gets_the_same_bits(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    rows = [{**ROW, "distance": distance} for distance in np.linspace(-3, 3, 40).tolist()]
    together, labels = loaded.run(loaded.encoder.encode(rows))
    alone = [loaded.run(loaded.encoder.encode([row])) for row in rows]
    assert [one[0][0] for one in alone] == together.tolist()
    assert [one[1][0] for one in alone] == labels.tolist()


def test_a_version_knows_its_size_its_classes_and_its_cost(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert loaded.memory_bytes > 0
    assert len(loaded.classes) == 2
    assert 0 < loaded.costs.of(1) < 1000
    assert loaded.costs.of(100_000) == float("inf")


@pytest.mark.parametrize("file", ["model.onnx", "graph.json"])
def test_files_that_cannot_be_read_are_said_to_be_corrupt(tmp_path: Path, file: str) -> None:
    write_model(tmp_path, 0.0, COLUMNS)
    (tmp_path / file).write_bytes(b"{}")
    with pytest.raises(CorruptDataError, match="Release the model again"):
        load_files(tmp_path)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    write_model(tmp_path, 0.0, COLUMNS)
    document = json.loads((tmp_path / "graph.json").read_text())
    document["raw"][1]["name"] = "length"
    (tmp_path / "graph.json").write_text(json.dumps(document))
    with pytest.raises(CorruptDataError, match="length"):
        load_files(tmp_path)


def test_costs_follow_fast_runs_and_hardly_slow_ones() -> None:
    costs = Costs()
    costs.note(1, 1.0)
    assert costs.of(1) == 1.0
    costs.note(1, 101.0)
    assert costs.of(1) == pytest.approx(3.0)
    costs.note(1, 1.0)
    assert costs.of(1) == pytest.approx(2.6)


@pytest.mark.parametrize(
    ("text", "seen"),
    [("someone:abc", "Line 1"), ("# nothing\n", "holds no token"), ("a b:" + "0" * 64, "Line 1")],
)
def test_a_tokens_file_that_cannot_be_read_is_refused(tmp_path: Path, text: str, seen: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    with pytest.raises(ConfigError, match=seen):
        Tokens.read(file)


def test_an_error_nobody_foresaw_keeps_its_text_to_itself() -> None:
    answer = answer_of(ValueError("password"))
    assert (answer.status, answer.code) == (500, "internal")
    assert "password" not in answer.message


def test_a_log_line_is_one_object_with_what_was_added() -> None:
    record = logging.makeLogRecord({"msg": "refused", "levelname": "INFO", "status": 404})
    line = json.loads(JsonFormatter().format(record))
    assert (line["event"], line["level"], line["status"]) == ("refused", "info", 404)


def test_a_throttle_counts_what_it_leaves_out() -> None:
    throttle = Throttle(per_second=5)
    passed = sum(throttle.admits() for _ in range(100))
    assert 5 <= passed <= 10
    assert throttle.take_left_out() == 100 - passed
    assert throttle.take_left_out() == 0


def test_workers_count_together_and_import_no_more_than_they_need(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from types import SimpleNamespace
from aimass.serving import app, protocol
from aimass.serving.metrics import Metrics
metrics = Metrics(sys.argv[1])
tally = metrics.tally(SimpleNamespace(name="late", version="1"))
tally.answered("rest", "", 3, 0.0002)
metrics.flush({"late": 2})
metrics.flush({"late": 2})
print([name for name in ("polars", "pyarrow", "pandas", "mlflow", "sklearn", "airflow") if name in sys.modules])
print(metrics.text().decode())
"""
    for _ in range(2):
        ran = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    heavy, _, text = ran.stdout.partition("\n")
    assert heavy == "[]"
    assert 'aimass_rows_total{model="late",version="1"} 6.0' in text
    assert 'aimass_request_seconds_bucket{le="0.0002",model="late"} 2.0' in text
    assert 'aimass_request_seconds_sum{model="late"} 0.0004' in text
