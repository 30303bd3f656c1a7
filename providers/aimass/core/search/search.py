"""The search as its three callers see it: the parent plans a round, a worker works, and the stage ends it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aimass.core.deps import Deps
from aimass.core.progress import ProgressEvent
from aimass.core.search.rounds import Rounds
from aimass.core.search.study import StudyStore, Trial
from aimass.core.search.trials import TrialRunner

OUT_OF_TIME = "the time budget was used up before its turn"


@dataclass(frozen=True)
class Search:
    """Everything that works on one study.

    Attributes
    ----------
    rounds : Rounds
        What is asked, and when.
    runner : TrialRunner
        Who tries it.
    study : StudyStore
        Where it is kept.
    deps : Deps
        Clock, progress and failpoints.
    max_minutes : float or None
        How long after its first plan the study may go on with further trials.
    """

    rounds: Rounds
    runner: TrialRunner
    study: StudyStore
    deps: Deps
    max_minutes: float | None = None

    def plan(self, round_index: int) -> list[int]:
        """Return the numbers of a round's unfinished trials, after completing the rounds before it.

        A retry returns the same numbers, less those that were finished meanwhile.
        """
        self.study.tidy()
        for earlier in range(round_index):
            self._complete_round(earlier)
        if self.is_out_of_time():
            return []
        asked = self.rounds.ask(self.study, round_index, self.deps.failpoints)
        return [trial.number for trial in asked if not trial.is_finished]

    def work(self, numbers: Iterable[int]) -> list[Trial]:
        """Try the trials with these numbers that are not finished yet; return all of them as they stand then."""
        wanted = set(numbers)
        self._run([trial for trial in self.study.trials() if trial.number in wanted])
        return [trial for trial in self.study.trials() if trial.number in wanted]

    def complete(self) -> list[Trial]:
        """Try whatever is left of any round; return every trial, all finished."""
        self.study.tidy()
        for round_index in range(self.rounds.rounds):
            self._complete_round(round_index)
        for trial in self.study.trials():
            if not trial.is_finished:
                self.study.finish(trial, score=None, outcome={"reason": OUT_OF_TIME})
        return self.study.trials()

    def is_out_of_time(self) -> bool:
        """Return whether the time budget is used up."""
        now = self.deps.clock().timestamp()
        begun = self.study.begun_at(now)
        return self.max_minutes is not None and now - begun > self.max_minutes * 60

    def _complete_round(self, round_index: int) -> None:
        if not self.is_out_of_time():
            self._run(self.rounds.ask(self.study, round_index, self.deps.failpoints))

    def _run(self, trials: Sequence[Trial]) -> None:
        for done, trial in enumerate(trials):
            if not trial.is_finished and not self.is_out_of_time():
                self.runner.run(self.study, trial, self.deps)
                self.deps.progress.report(ProgressEvent("trials", done + 1, len(trials), "trials", self._best_so_far()))

    def _best_so_far(self) -> str:
        best = self.rounds.best(self.study.trials())
        return f"best {self.runner.metric} {best.score:.4f} ({best.proposal.family})" if best is not None else ""
