"""Watch files and what came of them, as pages show it: the servers, the rules as they stand, what happened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from airflow.configuration import conf

from aimass.core.deps import Deps
from aimass.core.errors import AimassError
from aimass.core.monitoring.events import AlertEntry, AlertLog
from aimass.core.monitoring.judgement import Reading
from aimass.core.release.ledger import AliasMove
from aimass.core.release.rollback import WHY
from aimass.core.texts import speaking
from aimass.hooks.serving import ServingHook
from aimass.ui.languages import translations
from aimass.ui.registered import Run, run_of_move, run_of_task

LOOKED_BACK = 500
"""So many windows at most are looked through for what happened."""
MOST_SHOWN = 50


class Happening(NamedTuple):
    """Something that happened to a watched model.

    Attributes
    ----------
    at : datetime
        When.
    kind : str
        That of an `Event`; moved or rolled_back for an alias.
    level : int
        1 to 4; 0 for an alias.
    rule, version, said, held_back : str
        Empty where there is none.
    run : Run or None
        The run that it happened in.
    """

    at: datetime
    kind: str
    level: int
    rule: str
    version: str
    said: str
    held_back: str
    run: Run | None


class Watched(NamedTuple):
    """What the rules of a model's watch file came to.

    Attributes
    ----------
    readings : list of Reading
        Each rule, as it stood in the newest window.
    happenings : list of Happening
        The newest first.
    broken : str
        What is wrong with the log; empty where nothing is.
    """

    readings: list[Reading]
    happenings: list[Happening]
    broken: str


def endpoints_of(model: str) -> list[str]:
    """Return the connections of the servers of `model`: those of its watch file, or the default one."""
    # It brings all operators along, which pages do not need.
    from aimass.pipelines.monitors import alerts_dir, watches

    folder = alerts_dir(f"{conf.get('core', 'dags_folder')}/dags.py")
    watch = next((watch for watch in watches(folder) if watch.model == model), None)
    return watch.endpoints if watch else [ServingHook.default_conn_name]


def watched(deps: Deps, project: str, model: str, moves: Sequence[AliasMove], language: str) -> Watched:
    """Return what the rules of `model` saw and did, beside the `moves` of its aliases."""
    try:
        entries, broken = AlertLog(deps, project, model).newest(LOOKED_BACK), ""
    except (AimassError, ValueError) as error:
        entries, broken = [], str(error)
    with speaking(language):
        found = [_told(entry, place) for entry in entries for place in range(len(entry.judgement.events))]
    found += [_moved(move, language) for move in reversed(moves)]
    found.sort(key=lambda one: one.at, reverse=True)
    return Watched(entries[0].judgement.readings if entries else [], found[:MOST_SHOWN], broken)


def _told(entry: AlertEntry, place: int) -> Happening:
    event = entry.judgement.events[place]
    held_back = str(event.held_back) if event.held_back else ""
    version = event.version or ""
    return Happening(
        entry.at, event.kind, event.level, event.rule, version, str(event.said), held_back, run_of_task(entry.run_id)
    )


def _moved(move: AliasMove, language: str) -> Happening:
    kind = "rolled_back" if move.why.startswith(WHY) else "moved"
    at = datetime.fromisoformat(move.when)
    said = translations(language).gettext("%(alias)s: %(old)s → %(new)s: %(why)s") % {
        "alias": move.alias,
        "old": move.old_version or "–",
        "new": move.new_version,
        "why": move.why.removeprefix(WHY),
    }
    return Happening(at, kind, 0, "", move.new_version, said, "", run_of_move(move))
