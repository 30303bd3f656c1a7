from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.__main__ import main
from demo.errors import DemoError
from demo.home import Home
from demo.progress import Lines, RunOutcome, Task
from demo.summary import certificate_line, error_line, failure, print_candidates, print_reuse, report

CANDIDATES = [
    {"name": "lightgbm", "family": "lightgbm", "metrics": {"auc": 0.6612, "log_loss": 0.51, "odd": 1.0}},
    {"name": "tree", "family": "decision_tree", "metrics": {"auc": 0.6101, "log_loss": 0.55}},
]
RELEASED = {
    "name": "late",
    "version": "3",
    "alias": "champion",
    "certificate": {"rows": 12_345, "max_abs_diff": 3.2e-7, "flips": 0, "flips_outside": 0},
}


def outcome(*tasks: Task, state: str = "success") -> RunOutcome:
    return RunOutcome("manual__1", state, list(tasks), 12.3)


def test_candidates_are_a_table_with_the_known_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    print_candidates([Task("evaluate", label="evaluate", result={"split": "validation", "candidates": CANDIDATES})])
    printed = capsys.readouterr().out
    assert "0.6612" in printed
    assert "decision_tree" in printed
    assert "odd" not in printed


def test_reused_tasks_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    print_reuse(
        outcome(
            Task("split", label="split", state="success", result={"reused": True}),
            Task("train", label="train", state="success", result={"reused": False}),
        )
    )
    assert "Reused: split\nRan:    train" in capsys.readouterr().out


def test_the_certificate_is_one_line() -> None:
    assert certificate_line(RELEASED["certificate"]) == (  # type: ignore[arg-type]
        "12,345 rows: largest |Δ| 3.20e-07, 0 label flips outside the threshold's band"
    )


def test_a_released_version_that_the_registry_does_not_hold_is_a_failure(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    home.choose_ports()  # nobody listens there
    with pytest.raises(DemoError, match=r"Nothing stands: .* no version of late under 'champion'.* released version 3"):
        report(home, "aimass_x", outcome(Task("release", label="release", state="success", result=RELEASED)))


def test_a_failed_run_names_the_task_its_error_and_its_log(tmp_path: Path) -> None:
    home = Home(tmp_path)
    folder = home.task_logs / "dag_id=aimass_x" / "run_id=manual__1" / "task_id=ingest" / "map_index=1"
    folder.mkdir(parents=True)
    entries = [
        {"level": "info", "event": "reading"},
        {
            "level": "error",
            "event": "Task failed",
            "error_detail": [{"exc_type": "DataError", "exc_value": "No rows."}],
        },
    ]
    (folder / "attempt=2.log").write_text("not JSON\n" + "\n".join(map(json.dumps, entries)))
    task = Task("ingest", map_index=1, label="ingest[planes]", state="failed", attempt=2)
    text = failure(home, "aimass_x", outcome(task, Task("split", state="upstream_failed"), state="failed"))
    assert "ingest[planes]: DataError: No rows." in text
    assert f"log: {folder}/attempt=2.log" in text
    assert "split" not in text


def test_a_missing_log_is_said(tmp_path: Path) -> None:
    assert "before it could write a log" in error_line(tmp_path / "none")


def test_lines_tell_each_change_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    running = Task("train", label="train", state="running", text="boosting: 10 of 100 rounds")
    lines.show([Task("train", label="train", state="queued")], 0.5)
    for elapsed_s in (1.0, 1.5, 2.0):
        lines.show([running], elapsed_s)
    lines.show([Task("train", label="train", state="success", text="3.0 s", result={"reused": True})], 4.0)
    assert capsys.readouterr().out.split("\n") == [
        "   1.0 s  train                    running  boosting: 10 of 100 rounds",
        "   4.0 s  train                    reused   3.0 s",
        "",
    ]


@pytest.mark.parametrize(("conf", "said"), [("{", "--conf is not JSON"), ("[1]", "--conf is a list")])
def test_a_conf_that_is_no_object_is_refused_before_anything_starts(
    conf: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--folder", str(tmp_path), "run", "--conf", conf]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
