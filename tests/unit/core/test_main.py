"""The door; where its process is what matters, in a process of its own."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aimass.core.__main__ import main
from aimass.core.errors import UnreachableError
from aimass.core.stages import STAGES
from aimass.core.testing.failpoints import FailAt


def door(*arguments: str, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aimass.core", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text("a,b\n1,x\n2,y\n")
    path = tmp_path / "ingest.yaml"
    path.write_text(f"name: rows\nsource:\n  type: files\n  uri: {tmp_path}/rows.csv\n")
    return path


def test_result_is_alone_on_stdout_and_progress_on_stderr(config: Path, tmp_path: Path) -> None:
    (tmp_path / "runtime.yaml").write_text(f"store: {tmp_path}/ignored\nproject: flights\n")
    common = ["--runtime", f"{tmp_path}/runtime.yaml", "--store", f"{tmp_path}/store", "--progress", "json"]
    done = door("ingest", "--config", str(config), *common)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["rows"] == 2
    assert result["uri"].startswith(f"file://{tmp_path}/store/flights/ingest/")
    assert all("step" in json.loads(line) for line in done.stderr.splitlines())
    split = {"dataset": result["uri"], "split": {"type": "random"}}
    refused = door("split", "--config", "-", *common, stdin=json.dumps(split))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.fullmatch(r"error: 2 rows cannot be split\. Expected: at least 3 rows\.\n", refused.stderr)


def test_help_lists_every_field_and_schema_is_json(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["ingest", "--help"])
    assert left.value.code == 0
    shown = capfd.readouterr().out
    for field in [*STAGES.load("ingest").config.model_fields, "delimiter", "null_values", "type: files"]:
        assert field in shown
    assert main(["join", "--schema"]) == 0
    assert json.loads(capfd.readouterr().out)["properties"]["target"]["description"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "text"),
    [
        (["ingset"], "", "Did you mean 'ingest'?"),
        (["ingest"], "", "--config is missing"),
        (["ingest", "--config", "/no/such.yaml"], "", "/no/such.yaml"),
        (["ingest", "--config", "-"], "a: [", "neither YAML nor JSON"),
        (["ingest", "--config", "-"], "- 1", "Expected: a mapping"),
        (["ingest", "--config", "-"], "{nmae: x}", "did you mean 'name'?"),
        (["ingest", "--what"], "", "unrecognized arguments: --what"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_1(
    arguments: list[str],
    stdin: str,
    text: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    assert main(arguments) == 1
    seen = capfd.readouterr()
    assert seen.out == ""
    assert seen.err.count("\n") == 1
    assert text in seen.err


def test_a_transient_error_has_its_own_exit_code(
    config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stage = ["ingest", "--config", str(config), "--store", str(tmp_path / "store")]
    assert main(stage, failpoints=FailAt("before_manifest", error=UnreachableError("away"))) == os.EX_TEMPFAIL
    seen = capfd.readouterr()
    assert seen.out == ""
    assert seen.err.endswith("error: away.\n")


def test_a_defect_says_so_and_shows_where_only_when_asked(
    config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stage = ["ingest", "--config", str(config), "--store", str(tmp_path / "store")]
    assert main(stage, failpoints=FailAt("part_staged", error=KeyError("x"))) == 1
    assert "error: KeyError: 'x' (this is a defect of AI Mass" in capfd.readouterr().err
    with pytest.raises(KeyError):
        main([*stage, "--debug"], failpoints=FailAt("part_staged", error=KeyError("x")))


def test_sigterm_leaves_nothing_half_written(config: Path, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from aimass.core import __main__ as door\n"
        "class Terminate:\n"
        "    def hit(self, name): name == 'part_staged' and os.kill(os.getpid(), signal.SIGTERM)\n"
        "signal.signal(signal.SIGTERM, door._stop)\n"
        "sys.exit(door.main(sys.argv[1:], failpoints=Terminate()))"
    )
    store = tmp_path / "store"
    command = [sys.executable, "-c", script, "ingest", "--config", str(config), "--store", str(store)]
    stopped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (stopped.returncode, stopped.stdout) == (128 + signal.SIGTERM, "")
    assert "stopped by SIGTERM" in stopped.stderr
    assert not [path for path in store.rglob("*") if path.is_file() and "runs" not in path.parts]


def test_a_killed_stage_is_finished_by_the_next_attempt(config: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from aimass.core import __main__ as door; from aimass.core.testing.failpoints import KillAt\n"
        "sys.exit(door.main(sys.argv[2:], failpoints=KillAt('before_manifest', 1, sys.argv[1])))"
    )
    stage = ["ingest", "--config", str(config), "--store", str(tmp_path / "store"), "--run-id", "r"]
    command = [sys.executable, "-c", script, str(tmp_path / "killed"), *stage]
    first, second = (subprocess.run(command, capture_output=True, text=True, timeout=120, check=False) for _ in "12")
    assert (first.returncode, first.stdout) == (-signal.SIGKILL, "")
    assert second.returncode == 0
    assert json.loads(second.stdout)["rows"] == 2
    assert (tmp_path / "killed").read_text() == "before_manifest"
