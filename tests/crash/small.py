"""A pipeline small enough to be killed and run again a thousand times, and what must hold whenever one looks at it."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aimass.core.manifest import Manifest
from tests.crash.customers import create_tracking_database, write_customers
from tests.crash.forked import Forks
from tests.crash.stage_tasks import run_and_record

TRIALS = 4
PROJECT = "small"
RELEASED = "small_model"


@dataclass(frozen=True)
class Step:
    """One task: the stage, its configuration (built from earlier steps' results), and which task it is."""

    name: str
    stage: str
    config: Callable[[dict[str, Any]], dict[str, Any]]


def steps(csv: Path) -> list[Step]:
    """Return the tasks of the small pipeline in the order in which they run."""
    source = {"type": "files", "uri": csv.as_uri()}
    models = [{"type": "decision_tree", "max_depth": 3}, {"type": "lightgbm", "n_estimators": 5}]
    split = {"type": "stratified", "column": "churned", "validation": 0.2, "test": 0.2, "seed": 3}
    release = {"name": RELEASED, "gate": {}}

    def search(done: dict[str, Any]) -> dict[str, Any]:
        inputs = {"dataset": done["featurize"]["uri"], "evaluation": done["evaluate"]["uri"]}
        return {**inputs, "baseline": done["train"]["uri"], "rounds": 1, "trials": TRIALS, "workers": 2, "seed": 5}

    def work(worker: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return lambda done: {"optimize": search(done), "assignment": done["plan"]["assignments"][worker]}

    return [
        Step("ingest", "ingest", lambda _: {"name": "customers", "source": source}),
        Step(
            "join",
            "join",
            lambda done: {
                "tables": {"customers": done["ingest"]["uri"]}, "base": "customers", "target": {"name": "churned"},
            },
        ),
        Step("split", "split", lambda done: {"dataset": done["join"]["uri"], "split": split}),
        Step("explore", "explore", lambda done: {"dataset": done["split"]["uri"]}),
        Step(
            "validate",
            "validate",
            lambda done: {"dataset": done["split"]["uri"], "exploration": done["explore"]["uri"]},
        ),
        Step("clean", "clean", lambda done: {"dataset": done["split"]["uri"]}),
        Step("featurize", "featurize", lambda done: {"dataset": done["clean"]["uri"], "raw": done["split"]["uri"]}),
        Step("train", "train", lambda done: {"dataset": done["featurize"]["uri"], "models": models, "seed": 5}),
        Step(
            "evaluate",
            "evaluate",
            lambda done: {
                "dataset": done["featurize"]["uri"], "model": done["train"]["uri"], "split": "validation",
            },
        ),
        Step("plan", "optimize_plan", lambda done: {"optimize": search(done), "round_index": 0}),
        Step("work_0", "optimize_work", work(0)),
        Step("work_1", "optimize_work", work(1)),
        Step("optimize", "optimize", search),
        Step(
            "evaluate_best",
            "evaluate",
            lambda done: {"dataset": done["featurize"]["uri"], "model": done["optimize"]["uri"], "split": "test"},
        ),
        Step(
            "release",
            "release",
            lambda done: {
                "model": done["optimize"]["uri"], "features": done["featurize"]["uri"], "raw": done["split"]["uri"],
                "evaluation": done["evaluate_best"]["uri"], **release,
            },
        ),
    ]  # fmt: skip


@dataclass
class Reference:
    """An undisturbed run: for every step its request, its result, its fail points and how long it took."""

    folder: Path
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    points: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    after: dict[str, State] = field(default_factory=dict)

    @property
    def live(self) -> Path:
        """The folder in which stages run; every address points into it."""
        return self.folder / "live"

    def restore(self, step: str) -> None:
        """Put the world back to what it was before `step`."""
        shutil.rmtree(self.live, ignore_errors=True)
        shutil.copytree(self.folder / "before" / step, self.live)


def run_reference(folder: Path, forks: Forks) -> Reference:
    """Run the whole pipeline without a disturbance, keeping the world as it was before each step."""
    reference = Reference(folder)
    (reference.live / "store").mkdir(parents=True)
    csv = reference.live / "customers.csv"
    write_customers(csv)
    runtime = {"store": (reference.live / "store").as_uri(), "project": PROJECT, "run_id": "run-1"}
    runtime["tracking_uri"] = f"sqlite:///{reference.live / 'mlflow.db'}"
    create_tracking_database(reference.live / "mlflow.db")
    for step in steps(csv):
        shutil.copytree(reference.live, folder / "before" / step.name)
        request = {"stage": step.stage, "config": step.config(reference.results), "runtime": runtime}
        began = time.monotonic()
        answer = forks.run(run_and_record, request)
        reference.seconds[step.name] = time.monotonic() - began
        reference.requests[step.name] = request
        reference.results[step.name] = answer["result"]
        reference.points[step.name] = numbered(answer["points"])
        reference.after[step.name] = look(reference.live)
    return reference


def numbered(points: Iterable[str]) -> list[tuple[str, int]]:
    """Return each passing of a point with how often it has been passed."""
    counts: Counter[str] = Counter()
    found = []
    for point in points:
        counts[point] += 1
        found.append((point, counts[point]))
    return found


@dataclass(frozen=True)
class State:
    """What the outside world sees: published outputs, tracked runs, trials and released versions."""

    outputs: frozenset[tuple[str, str]]
    runs: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    moves: int


def look(live: Path) -> State:
    """Return the visible state; fails when anything half-written is visible."""
    store = live / "store"
    outputs = []
    for file in sorted(store.rglob("manifest.json")):
        manifest = Manifest.model_validate_json(file.read_bytes())
        for entry in [*manifest.parts, *manifest.files]:
            data = (file.parent / entry.name).read_bytes()
            assert hashlib.sha256(data).hexdigest() == entry.sha256, (
                f"{file.parent / entry.name} is not what was published"
            )
        outputs.append((str(file.parent.relative_to(store)), manifest.digest))
    with sqlite3.connect(live / "mlflow.db") as database:
        runs = database.execute(
            "select tags.value, runs.status from runs join tags using (run_uuid) where tags.key = 'aimass.key' "
            "order by tags.value"
        ).fetchall()
        versions = database.execute(
            "select v.version, coalesce(a.alias, '') from model_versions v "
            "left join registered_model_aliases a on a.name = v.name and a.version = v.version order by 1, 2"
        ).fetchall()
    database.close()
    moves = len(list((store / "ledger").rglob("*.json"))) if (store / "ledger").exists() else 0
    return State(frozenset(outputs), tuple(runs), tuple((str(number), alias) for number, alias in versions), moves)
