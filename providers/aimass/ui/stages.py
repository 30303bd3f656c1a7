"""A run as people follow it: its stages in order, each with its state and the figures that its result holds.

Figures are keys; the words for them stand in ``templates/words.html``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from aimass.ui.queries.results import TaskKey
from aimass.ui.queries.runs import Record, TaskRow

ORDER = (
    "ingest", "join", "split", "explore", "validate", "clean", "featurize", "train", "evaluate", "search", "optimize",
    "evaluate_best", "approve", "release",
)  # fmt: skip
SEARCH = "search"
WITH_REPORT = ("explore", "validate", "evaluate", "evaluate_best", "release")
WITH_DATASET = ("ingest", "join", "split", "clean", "featurize")
_SEARCH = re.compile(r"(plan|work)_\d+")
# From the worst to the best: a stage of several tasks is as its worst one.
_WORST_FIRST = (
    "failed", "upstream_failed", "awaiting_input", "up_for_retry", "running", "deferred", "restarting", "queued",
    "scheduled", "up_for_reschedule", "", "success", "skipped",
)  # fmt: skip


class Fact(NamedTuple):
    """One figure of a result; `name` is a key of the template's words, or `text` says what it is."""

    name: str
    value: Any
    text: str = ""


@dataclass(frozen=True)
class StageView:
    """One stage of a run.

    Attributes
    ----------
    name : str
        Of the stage's task; ``search`` stands for all rounds of a search.
    tasks : list of TaskRow
        Its tasks; several where it is mapped.
    figure : Fact or None
        The one figure to see at a glance.
    facts : list of Fact
        The others.
    progress : list of tuple
        Of running tasks: label, share done (0 to 1, or None) and what the stage says.
    failure : str
        Why it failed, in the stage's own words.
    failed_with_report : bool
        Whether it published a report that says more.
    """

    name: str
    tasks: list[TaskRow]
    figure: Fact | None
    facts: list[Fact]
    warnings: list[str]
    progress: list[tuple[str, float | None, str]]
    reused: bool
    has_result: bool
    failure: str = ""
    failed_with_report: bool = False

    @property
    def state(self) -> str:
        """The state of its worst task."""
        known = {state: place for place, state in enumerate(_WORST_FIRST)}
        return min((task.state for task in self.tasks), key=lambda state: known.get(state, len(known)))

    @property
    def duration_s(self) -> float | None:
        """Seconds from its first task's start to its last one's end; None before that."""
        begun = [task.since for task in self.tasks if task.since]
        ended = [task.until for task in self.tasks if task.until]
        return (max(ended) - min(begun)).total_seconds() if begun and len(ended) == len(self.tasks) else None

    @property
    def retries(self) -> int:
        """How often one of its tasks had to be tried again."""
        return sum(max(0, task.tries - 1) for task in self.tasks)

    @property
    def has_report(self) -> bool:
        """Whether its task has published a report that can be shown."""
        return self.failed_with_report or (self.has_result and self.name in WITH_REPORT)

    @property
    def has_dataset(self) -> bool:
        """Whether its task has published a dataset."""
        return self.has_result and self.name in WITH_DATASET


def stages_of(tasks: Iterable[TaskRow], record: Record) -> list[StageView]:
    """Return the stages of a run in the order in which data walks through them."""
    grouped: dict[str, list[TaskRow]] = {}
    for task in sorted(tasks, key=lambda task: task.map_index):
        grouped.setdefault(SEARCH if _SEARCH.fullmatch(task.task_id) else task.task_id, []).append(task)
    known = {name: place for place, name in enumerate(ORDER)}
    # Tasks of a team's own, which are not known, come last, in the order in which they began.
    names = sorted(grouped, key=lambda name: (known.get(name, len(known)), _begin(grouped[name])))
    return [_stage(name, grouped[name], record) for name in names]


def figures(name: str, results: list[tuple[str, dict[str, Any]]]) -> tuple[Fact | None, list[Fact]]:
    """Return the figures of a stage from its tasks' results, each with the task's label.

    A result that another version wrote, or that is none of ours, has no figures.
    """
    read = _READERS.get(name)
    if read is None or not results:
        return None, []
    try:
        found = list(read(results))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, StopIteration):
        return None, []
    return (found[0], found[1:]) if found else (None, [])


def warnings_of(result: Mapping[str, Any]) -> list[str]:
    """Return what the stage warns of, in its own words."""
    found: list[str] = []
    for key in ("warnings", "refused"):
        given = result.get(key)
        found += [str(text) for text in given] if isinstance(given, list) else []
    return found


def _stage(name: str, tasks: list[TaskRow], record: Record) -> StageView:
    keyed = [(TaskKey(task.task_id, task.map_index), task) for task in tasks]
    told = [(task.label, record.results[key]) for key, task in keyed if key in record.results]
    figure, facts = figures(name, told)
    failure = next((record.failures[key] for key, _ in keyed if key in record.failures), {})
    return StageView(
        name,
        tasks,
        figure,
        facts,
        warnings=[text for _, result in told for text in warnings_of(result)],
        progress=[
            (task.label, *_share(record.progress[key]))
            for key, task in keyed
            if task.state == "running" and key in record.progress
        ],
        reused=bool(told) and all(result.get("reused") for _, result in told),
        has_result=bool(told),
        failure=str(failure.get("message", "")),
        failed_with_report=bool(failure.get("report")),
    )


def _begin(tasks: list[TaskRow]) -> float:
    return min((task.since.timestamp() for task in tasks if task.since), default=math.inf)


def _share(event: Mapping[str, Any]) -> tuple[float | None, str]:
    done, total = event.get("done"), event.get("total")
    both = isinstance(done, int | float) and isinstance(total, int | float) and total > 0
    return (min(1.0, max(0.0, done / total)) if both else None), str(event.get("text", ""))  # type: ignore[operator]


Told = list[tuple[str, dict[str, Any]]]


def _ingest(told: Told) -> Iterable[Fact]:
    yield Fact("rows", sum(result["rows"] for _, result in told))
    for label, result in told:
        if label:
            yield Fact("source", result["rows"], label)
    rejected = sum(result["rejected"] for _, result in told)
    if rejected:
        yield Fact("rejected", rejected)


def _join(told: Told) -> Iterable[Fact]:
    result = told[0][1]
    yield Fact("rows", result["rows"])
    yield Fact("columns", result["columns"])
    if result["dropped_null_target"]:
        yield Fact("without_target", result["dropped_null_target"])
    for table, rows in result["unmatched"].items():
        yield Fact("unmatched", rows, table)
    for label, rows in list(result["classes"].items())[:6]:
        yield Fact("class", rows, label)


def _split(told: Told) -> Iterable[Fact]:
    rows = told[0][1]["rows"]
    yield Fact("rows", sum(rows.values()))
    for part, count in rows.items():
        yield Fact(part if part in ("train", "validation", "test") else "part", count, part)


def _explore(told: Told) -> Iterable[Fact]:
    result = told[0][1]
    yield Fact("columns", result["columns"])
    yield Fact("rows", result["rows"])
    yield Fact("warnings", len(result["warnings"]))
    for column in result["leakage_suspects"][:5]:
        yield Fact("leakage", column)


def _validate(told: Told) -> Iterable[Fact]:
    result = told[0][1]
    yield Fact("holding", result["evaluated"] - result["n_failed"])
    if result["n_failed"]:
        yield Fact("expectations", result["evaluated"])
        yield Fact("failed", result["n_failed"])


def _clean(told: Told) -> Iterable[Fact]:
    result = told[0][1]
    yield Fact("rows", sum(result["rows"].values()))
    yield Fact("dropped_rows", sum(step["rows_dropped"] for step in result["steps"]))
    yield Fact("touched_cells", sum(step["cells_touched"] for step in result["steps"]))
    yield Fact("steps", len(result["steps"]))
    if result["dropped_columns"]:
        yield Fact("dropped_columns", len(result["dropped_columns"]))


def _featurize(told: Told) -> Iterable[Fact]:
    result = told[0][1]
    yield Fact("features", len(result["features"]))
    yield Fact("transforms", len(result["transforms"]))
    yield Fact("rows", sum(result["rows"].values()))
    if result["dropped_columns"]:
        yield Fact("dropped_columns", len(result["dropped_columns"]))


def _candidates(told: Told) -> Iterable[Fact]:
    result = told[0][1]
    best = next(one for one in result["candidates"] if one["name"] == result["best"])
    name, value = next(iter(best["metrics"].items()))
    yield Fact("metric", value, name)
    yield Fact("best", result["best"])
    if len(result["candidates"]) > 1:
        yield Fact("models", len(result["candidates"]))
    if "threshold" in result:
        yield Fact("threshold", result["threshold"])


def _search(told: Told) -> Iterable[Fact]:
    done = [result["summary"] for _, result in told if "summary" in result]
    if done:
        yield Fact("trials", sum(one["complete"] for one in done))
        yield Fact("failed_trials", sum(one["failed"] for one in done))
        yield Fact("rounds", len({one["round"] for one in done}))


def _optimize(told: Told) -> Iterable[Fact]:
    result = told[0][1]
    name, value = next(iter(result["best"]["metrics"].items()))
    yield Fact("metric", value, name)
    yield Fact("best", result["best"]["name"])
    yield Fact("improved", result["improved"])
    yield Fact("trials", result["trials"].get("complete", 0))


def _approve(told: Told) -> Iterable[Fact]:
    result = told[0][1]
    if not result["asked"]:
        yield Fact("not_asked", "")
        return
    yield Fact("approved" if result["approved"] else "rejected_release", result["who"])
    if result["note"]:
        yield Fact("note", result["note"])


def _release(told: Told) -> Iterable[Fact]:
    result = told[0][1]
    if result["version"]:
        yield Fact("version", result["version"], result["name"])
        yield Fact("alias", result["alias"])
    certificate = result["certificate"]
    yield Fact("certified_rows", certificate["rows"])
    yield Fact("flips", certificate["flips_outside"])


_READERS: dict[str, Callable[[Told], Iterable[Fact]]] = {
    "ingest": _ingest,
    "join": _join,
    "split": _split,
    "explore": _explore,
    "validate": _validate,
    "clean": _clean,
    "featurize": _featurize,
    "train": _candidates,
    "evaluate": _candidates,
    "search": _search,
    "optimize": _optimize,
    "evaluate_best": _candidates,
    "approve": _approve,
    "release": _release,
}
