"""A team's own DAG, run from the wheel in a plain Airflow that has never seen this checkout."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from tests.packaging.wheel import ROOT, build_wheel, make_environment

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]


def write_table(path: Path) -> None:
    draw = random.Random(2)
    lines = ["age,plan,city,monthly_fee,support_calls,left_on"]
    for _ in range(1_500):
        calls, plan = draw.randint(0, 9), draw.choice(["basic", "plus", "max"])
        left = draw.random() < 0.1 + 0.07 * calls
        row = [draw.randint(18, 90), plan, draw.choice(["Łódź", "杭州", "Lyon"]), f"{draw.uniform(5, 80):.2f}", calls]
        lines.append(",".join(map(str, row)) + ("," + f"2024-0{draw.randint(1, 9)}-11" if left else ","))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_documented_dag_releases_a_model_from_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__CORE__DAGS_FOLDER", raising=False)
    environment = make_environment(tmp_path / "env", build_wheel(_made(tmp_path / "wheel")), "demo")
    home = environment.folder / "airflow-home"
    dags = _made(home / "dags")
    shutil.copy(ROOT / "docs" / "examples" / "own_dag.py", dags)
    write_table(dags / "customers.csv")
    environment.run("-m", "airflow", "db", "migrate")
    environment.run("-m", "airflow", "dags", "test", "churn", timeout_s=600)
    (released,) = (home / "aimass" / "churn" / "release").glob("*/manifest.json")
    result = json.loads(released.read_text())["result"]
    assert (result["name"], result["version"], result["alias"]) == ("churn", "1", "champion")
    assert result["certificate"]["flips_outside"] == 0


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
