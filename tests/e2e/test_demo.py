"""The main job, from a cold start to a stop that leaves nothing, in the order in which a person does it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

import pytest

from tests.e2e.running import ROOT, Demo, named

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]
STAGES = {"ingest", "join", "split", "explore", "validate", "clean", "featurize", "train", "evaluate"}
MODELS = [{"type": "decision_tree", "max_depth": 4}, {"type": "lightgbm", "n_estimators": 5}]
CHANGED = json.dumps({"train": {"models": MODELS}})
SEARCH = {"plan_1", "work_1", "optimize", "evaluate_best", "release"}


def test_status_says_what_does_not_run(demo: Demo) -> None:
    answer = demo.call("status")
    assert answer.returncode == 1
    assert "Not running: mlflow, api-server, scheduler, dag-processor" in answer.stderr


def test_a_cold_run_of_the_flights_ends_with_a_released_version(demo: Demo) -> None:
    answer = demo.run("flights")
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr
    assert re.search(r"port 8080 is busy: airflow takes \d+ instead", answer.stdout)
    assert re.search(r"Released +flights_late version 1 under 'champion'", answer.stdout)
    (rows,) = re.findall(r"Certified +([\d,]+) rows: largest \|Δ\| \d\.\d\de-\d\d, 0 label flips", answer.stdout)
    assert int(rows.replace(",", "")) >= 10_000
    assert demo.home.secrets["password"] in answer.stdout
    for family in ("logistic_regression", "decision_tree", "random_forest", "lightgbm"):
        assert family in answer.stdout
    # Above, the question would have been given away; below, nothing was learned.
    (auc,) = re.findall(r"evaluate_best +test +\S+ +\S+ +(0\.\d{4})", answer.stdout)
    assert 0.60 < float(auc) < 0.72


def test_an_unchanged_run_reuses_every_stage_within_a_minute(demo: Demo) -> None:
    began = time.monotonic()
    answer = demo.run("flights")
    seconds = time.monotonic() - began
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr
    assert "everything runs already" in answer.stdout
    assert named(answer.stdout, "Reused") >= STAGES | {"optimize", "evaluate_best", "release"}
    assert "flights_late version 1 under 'champion'" in answer.stdout
    assert seconds < 60


def test_a_small_pipeline_runs_beside_it(demo: Demo) -> None:
    answer = demo.run("small")
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr
    assert "small_model version 1 under 'champion'" in answer.stdout


def test_a_changed_hyper_parameter_runs_only_what_depends_on_it(demo: Demo) -> None:
    answer = demo.run("small", CHANGED)
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr
    assert named(answer.stdout, "Reused") == STAGES - {"train", "evaluate"}
    assert named(answer.stdout, "Ran") == {"train", "evaluate"} | SEARCH
    assert "small_model version" in answer.stdout


def test_the_rest_script_triggers_waits_and_fetches(demo: Demo) -> None:
    script = [sys.executable, str(ROOT / "docs" / "examples" / "rest.py"), demo.home.airflow_url, "admin"]
    script += ["aimass_small", CHANGED]
    env = {**os.environ, "AIRFLOW_PASSWORD": demo.home.secrets["password"]}
    done = subprocess.run(script, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    released = json.loads(done.stdout)
    assert (released["name"], released["alias"]) == ("small_model", "champion")
    assert released["certificate"]["flips_outside"] == 0
    wrong = subprocess.run(
        script, env={**env, "AIRFLOW_PASSWORD": "wrong"}, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 1
    assert "answered 401" in wrong.stderr
    assert "Traceback" not in wrong.stderr


BAD_CONFS = [
    ({"sources": {"customers": {"uri": "/etc/passwd"}}}, "allowed_roots"),
    ({"sources": {"customers": {"uri": "s3://elsewhere/x.csv"}}}, "allowed_roots"),
    ({"trian": {"seed": 1}}, "'train'"),
    ({"train": {"models": [{"type": "lightgbm", "n_estimators": -5}]}}, "n_estimators"),
]


@pytest.mark.parametrize(("conf", "said"), BAD_CONFS)
def test_a_bad_conf_is_refused_in_one_sentence_before_there_is_a_run(
    demo: Demo, conf: dict[str, object], said: str
) -> None:
    answer = demo.run("small", json.dumps(conf))
    assert answer.returncode == 1
    refusal = answer.stderr.strip().splitlines()[-1]
    assert refusal.startswith("Airflow refused to start aimass_small (HTTP 422): ")
    assert said in refusal
    assert "Traceback" not in answer.stderr
    assert demo.home.secrets["password"] not in answer.stderr
    runs = demo.airflow.get("dags", "aimass_small", "dagRuns")["dag_runs"]
    assert conf not in [run["conf"] for run in runs]


def test_a_broken_pipeline_is_refused_with_the_nearest_name(demo: Demo) -> None:
    answer = demo.run("broken")
    assert answer.returncode == 1
    assert "'files'" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_pipeline_that_is_not_there_is_said(demo: Demo) -> None:
    answer = demo.run("flihgts")
    assert answer.returncode == 1
    assert "Airflow has no DAG aimass_flihgts" in answer.stderr


def test_down_leaves_no_process(demo: Demo) -> None:
    leaders = demo.leaders()
    assert len(demo.processes(leaders)) > len(leaders) >= 4
    answer = demo.call("down")
    assert answer.returncode == 0, answer.stderr
    assert "stopped: api-server, dag-processor, mlflow, scheduler" in answer.stdout
    assert demo.processes(leaders) == []
    assert "nothing was running" in demo.call("down").stdout
