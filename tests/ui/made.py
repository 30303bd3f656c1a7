"""A real run of a small pipeline: every stage, on a table with a Chinese column and one whose name is an attack."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from aimass.core.deps import Deps, Runtime
from aimass.core.stages import STAGES
from tests.ui.seeding import Seeding

DAG_ID = "aimass_customers"
PROJECT = "customers"
MODEL = "customers_churn"
HOSTILE = "<img src=x onerror=alert(1)>"
CHINESE = "套餐"
ROWS = 400
Results = dict[tuple[str, int], Any]


class MadeRun(NamedTuple):
    """What a run left behind.

    Attributes
    ----------
    store : str
        URI of the store.
    tracking_uri : str
        MLflow's.
    results : dict
        What each task returned, by (task id, map index).
    """

    store: str
    tracking_uri: str
    results: Results

    def seed(self, seeding: Seeding, run_id: str = "manual__made", **run: Any) -> str:
        """Write the run to Airflow's database; return its id."""
        seeding.run(DAG_ID, run_id, **run)
        for (task_id, map_index), result in self.results.items():
            seeding.task(DAG_ID, run_id, task_id, map_index=map_index, result=result)
        return run_id


def make_run(folder: Path, tracking_uri: str) -> MadeRun:
    """Run the stages of the pipeline in this process."""
    csv = folder / "customers.csv"
    write_customers(csv)
    store = (folder / "store").as_uri()
    runtime = Runtime(store=store, project=PROJECT, run_id=f"{DAG_ID}/manual__made", tracking_uri=tracking_uri)
    deps = Deps.from_runtime(runtime, purpose="test")
    results: Results = {}
    for key, stage, config in _tasks(csv):
        verb = STAGES.load(stage)
        results[key] = verb.run(verb.parse(config(results)), deps).model_dump(mode="json")
        if stage == "optimize_plan":
            results[key] = results[key]["assignments"]
    return MadeRun(store, tracking_uri, results)


def write_customers(path: Path) -> None:
    """Write a table from which the target can be learned, but not perfectly."""
    draw = random.Random(1)
    lines = [f"customer,age,{CHINESE},{HOSTILE},calls,churned"]
    for number in range(ROWS):
        age, plan, calls = draw.randint(18, 90), draw.choice(["<b>基础</b>", "标准", "高级"]), draw.randint(0, 9)
        fee = "" if draw.random() < 0.1 else f"{draw.uniform(5, 80):.2f}"
        churned = int(draw.random() < 0.1 + 0.07 * calls + (0.15 if plan == "标准" else 0))
        lines.append(f"{number},{age},{plan},{fee},{calls},{churned}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _tasks(csv: Path) -> list[tuple[tuple[str, int], str, Callable[[Results], dict[str, Any]]]]:
    """Return (task, stage, configuration made of earlier results), in the order in which they run."""

    def uri(done: Results, task_id: str) -> Any:
        return done[task_id, -1]["uri"]

    def features(done: Results) -> dict[str, Any]:
        return {"dataset": uri(done, "featurize")}

    def search(done: Results) -> dict[str, Any]:
        inputs = {**features(done), "evaluation": uri(done, "evaluate"), "baseline": uri(done, "train")}
        return {**inputs, "rounds": 1, "trials": 2, "workers": 1, "seed": 5}

    models = [{"type": "logistic_regression"}, {"type": "decision_tree", "max_depth": 3}]
    target = {"name": "churned"}
    split = {"type": "random", "validation": 0.2, "test": 0.2, "seed": 3}
    source = {"name": "customers", "source": {"type": "files", "uri": csv.as_uri()}}
    table = {"base": "customers", "target": target, "id_columns": ["customer"]}
    return [
        (("ingest", 0), "ingest", lambda _: source),
        (("join", -1), "join", lambda done: {"tables": {"customers": done["ingest", 0]["uri"]}, **table}),
        (("split", -1), "split", lambda done: {"dataset": uri(done, "join"), "split": split}),
        (("explore", -1), "explore", lambda done: {"dataset": uri(done, "split")}),
        (
            ("validate", -1),
            "validate",
            lambda done: {"dataset": uri(done, "split"), "exploration": uri(done, "explore")},
        ),
        (("clean", -1), "clean", lambda done: {"dataset": uri(done, "split")}),
        (("featurize", -1), "featurize", lambda done: {"dataset": uri(done, "clean"), "raw": uri(done, "split")}),
        (("train", -1), "train", lambda done: {**features(done), "models": models, "seed": 5}),
        (
            ("evaluate", -1),
            "evaluate",
            lambda done: {**features(done), "model": uri(done, "train"), "split": "validation"},
        ),
        (("plan_1", -1), "optimize_plan", lambda done: {"optimize": search(done), "round_index": 0}),
        (("work_1", 0), "optimize_work", lambda done: {"optimize": search(done), "assignment": done["plan_1", -1][0]}),
        (("optimize", -1), "optimize", search),
        (
            ("evaluate_best", -1),
            "evaluate",
            lambda done: {**features(done), "model": uri(done, "optimize"), "split": "test"},
        ),
        (
            ("release", -1),
            "release",
            lambda done: {
                "model": uri(done, "optimize"), "features": uri(done, "featurize"), "raw": uri(done, "split"),
                "evaluation": uri(done, "evaluate_best"), "name": MODEL,
            },
        ),
    ]  # fmt: skip
