from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aimass.cli.runs import read_conf
from aimass.core.errors import ConfigError
from aimass.pipelines.load import load_pipeline

Airflow = Callable[..., Any]
COMMANDS = [
    ["init"], ["source", "check"], ["source", "sample"], ["pipeline", "new"], ["pipeline", "list"],
    ["pipeline", "validate"], ["pipeline", "run"], ["pipeline", "status"], ["monitor", "check"], ["settings", "apply"],
    ["gc"],
]  # fmt: skip


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "customers.csv"
    lines = [f"{n},{20 + n % 50},c{n % 3},2020-01-{1 + n % 28:02d},x,{n % 2 == 0}" for n in range(60)]
    path.write_text("customer_id,age,city,joined,constant,churned\n" + "\n".join(lines))
    return path


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(airflow: Airflow, words: list[str]) -> None:
    done = airflow(*words, "--help")
    assert done.code == 0
    assert "usage" in done.out.lower()


def test_init_writes_what_an_airflow_needs_and_keeps_what_was_changed(airflow: Airflow, tmp_path: Path) -> None:
    done = airflow("init", str(tmp_path))
    assert done.code == 0, done.err
    dag_file = tmp_path / "dags" / "aimass_pipelines.py"
    assert len(dag_file.read_text().strip().splitlines()) == 3
    assert load_pipeline(tmp_path / "include" / "pipelines" / "flights.yaml").name == "flights"
    assert airflow("init", str(tmp_path)).code == 0
    dag_file.write_text("mine")
    done = airflow("init", str(tmp_path))
    assert done.code == 2
    assert "--force" in done.err
    assert dag_file.read_text() == "mine"
    assert airflow("init", str(tmp_path), "--force").code == 0
    assert dag_file.read_text() != "mine"


def test_init_writes_every_dag_file_of_the_checkout(airflow: Airflow, tmp_path: Path, root: Path) -> None:
    assert airflow("init", str(tmp_path)).code == 0
    ours = {file.name for file in (root / "dags").glob("*.py")}
    assert {file.name for file in (tmp_path / "dags").glob("*.py")} == ours


def test_monitor_check_says_what_is_wrong_where(airflow: Airflow, tmp_path: Path, root: Path) -> None:
    shipped = root / "include" / "alerts"
    assert airflow("monitor", "check", "--alerts", str(shipped)).code == 0
    (tmp_path / "late.yaml").write_text("model: late\nrules:\n  - {name: a, metric: acu, below: 1}\n")
    done = airflow("monitor", "check", "late", "--alerts", str(tmp_path))
    assert done.code == 1
    assert "rules.0.metric" in done.err
    assert "(line 3)" in done.err
    done = airflow("monitor", "check", "lat", "--alerts", str(tmp_path))
    assert done.code == 2
    assert "Known: late" in done.err


def test_the_sample_is_the_pipeline_of_the_demo(root: Path) -> None:
    sample = root / "providers" / "aimass" / "pipelines" / "samples" / "flights.yaml"
    assert sample.read_text() == (root / "include" / "pipelines" / "flights.yaml").read_text()


def test_new_writes_a_commented_file_that_is_valid(airflow: Airflow, table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pipelines"
    done = airflow("pipeline", "new", "--source", str(table), "--target", "churned", "--pipelines", str(folder))
    assert done.code == 0, done.err
    path = folder / "customers.yaml"
    pipeline = load_pipeline(path)
    assert pipeline.columns == ["age", "city"]
    assert pipeline.id == ["customer_id"]
    assert pipeline.time == "joined"
    assert "# - constant" in path.read_text()
    assert airflow("pipeline", "validate", "--pipelines", str(folder)).code == 0
    again = airflow("pipeline", "new", "--source", str(table), "--target", "churned", "--pipelines", str(folder))
    assert again.code == 2
    assert "--force" in again.err


def test_new_takes_an_expression_and_prints(airflow: Airflow, table: Path) -> None:
    done = airflow("pipeline", "new", "--source", str(table), "--target", "age > 40", "--output", "-")
    assert done.code == 0, done.err
    assert 'expr: "age > 40"' in done.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--target", "churnd"], "'churned'"),
        (["--target", "churned", "--name", "no good"], "cannot be called"),
    ],
)
def test_new_says_what_is_wrong(airflow: Airflow, table: Path, words: list[str], told: str) -> None:
    done = airflow("pipeline", "new", "--source", str(table), *words, "--output", "-")
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err


def test_new_names_a_missing_source(airflow: Airflow, tmp_path: Path) -> None:
    done = airflow("pipeline", "new", "--source", str(tmp_path / "gone.csv"), "--target", "x", "--output", "-")
    assert done.code == 2
    assert "gone.csv" in done.err


def test_list_and_validate(airflow: Airflow, tmp_path: Path, root: Path) -> None:
    (tmp_path / "good.yaml").write_text((root / "include/pipelines/flights.yaml").read_text())
    (tmp_path / "bad.yaml").write_text("name: bad\nsources: {}\n")
    listed = json.loads(airflow("pipeline", "list", "--pipelines", str(tmp_path), "--json").out)
    assert [(row["name"], row["state"].startswith("broken")) for row in listed] == [("bad", True), ("flights", False)]
    done = airflow("pipeline", "validate", "--pipelines", str(tmp_path))
    assert done.code == 1
    assert "target: is required" in done.err
    assert airflow("pipeline", "validate", "flights", "--pipelines", str(tmp_path)).code == 0
    assert airflow("pipeline", "validate", str(tmp_path / "good.yaml")).code == 0
    unknown = airflow("pipeline", "validate", "flihgts", "--pipelines", str(tmp_path))
    assert unknown.code == 2
    assert "'flights'" in unknown.err


def test_run_and_status_say_that_nobody_answers(airflow: Airflow) -> None:
    for words in (["run", "flights"], ["status", "flights"]):
        done = airflow("pipeline", *words, "--url", "http://127.0.0.1:9")
        assert done.code == 3
        assert "does not answer at http://127.0.0.1:9" in done.err
    assert airflow("pipeline", "status", "flights", "--url", "127.0.0.1").code == 2


def test_conf_is_json_or_a_file(tmp_path: Path) -> None:
    assert read_conf(None) == {}
    assert read_conf('{"train": {"seed": 7}}') == {"train": {"seed": 7}}
    (tmp_path / "conf.yaml").write_text("join:\n  - {on: [a]}\n")
    assert read_conf(f"@{tmp_path / 'conf.yaml'}") == {"join": [{"on": ["a"]}]}
    for bad in ("[1]", "{", "@/no/such/file"):
        with pytest.raises(Exception, match=r"conf|No such file"):
            read_conf(bad)
    with pytest.raises(ConfigError):
        read_conf("3")


def test_gc_lists_and_only_deletes_when_told(airflow: Airflow, tmp_path: Path) -> None:
    orphan = tmp_path / "p" / "train" / "0123456789abcdef" / "part"
    orphan.parent.mkdir(parents=True)
    orphan.write_text("x")
    words = ["gc", "--store", str(tmp_path), "--in-flight-hours", "0"]
    done = airflow(*words)
    assert done.code == 0, done.err
    assert "0123456789abcdef" in done.out
    assert "Nothing was deleted" in done.out
    assert orphan.exists()
    assert json.loads(airflow(*words, "--json").out)["garbage"][0]["kind"] == "orphan"
    assert airflow(*words, "--delete").code == 0
    assert not orphan.exists()
    assert airflow("gc", "--keep-days", "-1").code == 2
