"""All reports in both languages, by the stages' own page functions, of data with hostile and Chinese names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from aimass.core.datasets import open_dataset
from aimass.core.deps import Deps
from aimass.core.evaluation import DEFAULT_METRICS
from aimass.core.evaluation.assess import assess, cautions, ranked_importance
from aimass.core.evaluation.base import Scored
from aimass.core.evaluation.document import CandidateEvaluation, Evaluation
from aimass.core.evaluation.report import draw_plots
from aimass.core.evaluation.report import report_html as evaluation_page
from aimass.core.exploration.explore import explore
from aimass.core.exploration.leakage import LeakageSettings
from aimass.core.exploration.page import exploration_page
from aimass.core.exploration.profile import Exploration
from aimass.core.release.base import Version
from aimass.core.release.card import CardFacts
from aimass.core.release.certificate import Side, compare
from aimass.core.release.gate import GateSettings, judge
from aimass.core.release.report import report_html as release_page
from aimass.core.reports import write_report
from aimass.core.testing.datasets import publish_rows
from aimass.core.texts import say
from aimass.core.validation.page import validation_page
from aimass.core.validation.suite import SuiteSettings, build_suite
from tests.rollback_page import rollback_page

HOSTILE = "<img src=x onerror=alert(1)>"
CHINESE = "起飞延误"
TARGET = "迟到"
REPORTS = ("exploration", "validation", "evaluation", "release", "refusal", "rollback")


class Folder:
    """Where a report is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)

    def write_file(self, name: str, data: str) -> str:
        """Write a file."""
        (self.path / name).write_text(data, encoding="utf-8")
        return name


def make_reports(base: Path, deps: Deps) -> dict[str, Path]:
    """Write every report below `base`; return their folders by name."""
    found = explored(deps)
    evaluation = evaluated()
    plots = draw_plots(evaluation)
    makers: dict[str, Callable[[], str]] = {
        "exploration": lambda: exploration_page(found),
        "validation": lambda: validated(found),
        "evaluation": lambda: evaluation_page(evaluation, plots, title=say("Evaluation of {project}", project=HOSTILE)),
        "release": lambda: released(shift=0.0),
        "refusal": lambda: released(shift=0.2),
        "rollback": lambda: rollback_page(HOSTILE, CHINESE),
    }
    folders = {name: Folder(base / name) for name in REPORTS}
    for name, folder in folders.items():
        write_report(folder, makers[name])
    return {name: folder.path for name, folder in folders.items()}


def rows(count: int = 600) -> pl.DataFrame:
    """Return rows with a leak, gaps, a constant, and names that nobody should choose."""
    generator = np.random.default_rng(3)
    late = generator.random(count) < 0.3
    columns: dict[str, Any] = {
        HOSTILE: generator.choice([HOSTILE, "b", "c"], count),
        CHINESE: late + generator.normal(size=count) * 0.05,
        "机场": generator.choice(["北京首都", "上海虹桥", "a" * 300], count),
        "constant": ["same"] * count,
        "tail": np.exp(4 * generator.normal(size=count)),
        "many": [f"{HOSTILE}{index}" for index in range(count)],
        **{f"number {index}": generator.normal(size=count) for index in range(8)},
        TARGET: late,
    }
    gaps = pl.Series(generator.random(count) < 0.6)
    return pl.DataFrame(columns).with_columns(missing=pl.when(gaps).then(1.5))


def explored(deps: Deps) -> Exploration:
    """Return the exploration of `rows`."""
    uri = publish_rows(deps, {"train": rows()}, tags={TARGET: {"role": "target"}})
    return explore(open_dataset(uri, deps), LeakageSettings(), deps)


def validated(found: Exploration) -> str:
    """Return the page of a validation in which every third expectation fails."""
    suite = build_suite(found, SuiteSettings())
    result = {"unexpected_percent": 4.5, "unexpected_count": 27, "element_count": 600}
    entries = [
        {
            "success": number % 3 > 0,
            "result": {**result, "partial_unexpected_list": [HOSTILE, "延误"]} if number % 3 == 0 else {},
            "expectation_config": {
                "type": item["expectation"],
                "kwargs": {key: value for key, value in item.items() if key not in ("id", "expectation")},
            },
            "meta": {"id": item["id"], "part": part},
        }
        for part in ("train", "test")
        for number, item in enumerate(suite)
    ]
    return validation_page(suite, entries, {"train": (300, 600), "test": (200, 200)})


def evaluated() -> Evaluation:
    """Return an evaluation of two candidates that one should not trust."""
    best, other = candidate("random_forest", 0.8), candidate(HOSTILE, 0.3)
    return Evaluation(
        split="validation",
        rows=800,
        positives=best.confusion.true_positives + best.confusion.false_negatives,
        classes=["否", HOSTILE],
        best=best.name,
        threshold_rule="best_f1",
        candidates=[best, other],
        warnings=cautions(best, split="test", validation_auc=0.99),
    )


def candidate(name: str, strength: float) -> CandidateEvaluation:
    """Return a candidate's evaluation."""
    generator = np.random.default_rng(0)
    logit = generator.normal(size=800) * strength
    probability = 1 / (1 + np.exp(-logit))
    y = (generator.random(800) < probability).astype(np.int8)
    importance = ranked_importance([CHINESE, f"机场={HOSTILE}"], np.array([0.7, 0.3]))
    shown = np.clip(probability + 0.2, 0, 1)
    return assess(name, "lightgbm", Scored(y, shown, 0.5), metrics=DEFAULT_METRICS, importance=importance)


def released(*, shift: float) -> str:
    """Return the page of a release, refused where `shift` puts the graph's answers off."""
    probability = np.linspace(0.01, 0.99, 500)
    features = np.zeros((500, 1), dtype=np.float32)
    native = Side(features, probability, (probability > 0.5).astype(np.int64))
    moved = Side(features, probability + shift, (probability + shift > 0.5).astype(np.int64))
    certificate = compare(
        moved, native, names=[HOSTILE], rows=400, threshold=0.5, model_sha256="0" * 64, versions={"onnx": "1.23"}
    )
    metrics = {"auc": 0.81, "log_loss": 0.4}
    verdict = judge(metrics, {"auc": 0.9} if shift else None, GateSettings())
    facts = CardFacts(
        name="航班",
        alias="champion",
        project="flights",
        family="lightgbm",
        digest="0" * 64,
        classes=["false", "true"],
        threshold=0.5,
        metrics=metrics,
        settings={"n_estimators": 60},
        inputs=[(CHINESE, "double"), (HOSTILE, "string")],
        data={"model": "1" * 64, "features": "2" * 64, "raw": "3" * 64},
        certificate=certificate.model_dump(mode="json"),
        gate=verdict.checks,
    )
    version = Version(name="航班", version="3", uri="models:/航班/3", digest="0" * 64, tags={})
    return release_page(facts, None if shift else version)
