"""The last runs of a pipeline as bars; written here and not in a template, since the overview draws hundreds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from aimass.ui.queries.pipelines import SHOWN_RUNS, RunRow

STEP, WIDTH, HEIGHT = 9, 7, 26
LOWEST, RANGE = 8, 16


def strip(runs: Sequence[RunRow], words: Mapping[str, str], title: str) -> Markup:
    """Return one bar for each run: the longer the run, the higher the bar; its colour is the state.

    Parameters
    ----------
    runs : sequence of RunRow
        The oldest first, at most `SHOWN_RUNS`.
    words : mapping of str to str
        What the states are called.
    title : str
        Read aloud.
    """
    longest = max((run.duration_s or 0 for run in runs), default=0) or 1
    drawn = "".join(_bar(run, place * STEP, (run.duration_s or 0) / longest, words) for place, run in enumerate(runs))
    # Every piece is a number or escaped.
    return Markup(  # noqa: S704
        f'<svg class="strip" viewBox="0 0 {SHOWN_RUNS * STEP} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{drawn}</svg>"
    )


def _bar(run: RunRow, x: int, share: float, words: Mapping[str, str]) -> str:
    height = LOWEST + RANGE * share
    took = "" if run.duration_s is None else f", {run.duration_s:,.0f} s"
    text = f"{run.triggered_at:%Y-%m-%d %H:%M} UTC: {words.get(run.state, run.state)}{took}"
    return (
        f'<rect class="{escape(run.state)}" x="{x}" y="{HEIGHT - 1 - height:.1f}" width="{WIDTH}" '
        f'height="{height:.1f}" rx="1.5"><title>{escape(text)}</title></rect>'
    )
