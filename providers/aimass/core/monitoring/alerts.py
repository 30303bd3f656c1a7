"""From one window to the next: a pure state machine per rule.

A rule is *ok*, *firing* (an incident is open) or *without data*. It fires where the newest window is bad and k of the
last n are; the incident closes after `clear_k` good windows, one after the other. A window without data is neither
good nor bad: it never opens an incident and never closes one, and having none for `no_data_k` windows is told;
windows that nobody judged count as such. Another version under the alias begins anew: its windows say nothing about the
one before.

The same window judged twice changes nothing; an action is ordered once per incident, and rests for a while after that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from aimass.core.monitoring.judgement import (
    AlertNotice,
    Event,
    EventKind,
    Judgement,
    Order,
    Reading,
    RuleState,
    Verdict,
    WatchState,
    WindowVerdict,
)
from aimass.core.monitoring.log import stamp
from aimass.core.monitoring.observations import Observation
from aimass.core.monitoring.rules import TELLING, Rule, Watch
from aimass.core.texts import Text, say

MAX_LINES = 10
"""How many events a notice tells one by one."""


def judge_window(watch: Watch, state: WatchState, seen: Observation) -> Judgement:
    """Return what comes of the window `seen` after `state`; a window that is not newer changes nothing."""
    if state.last is not None and seen.start <= state.last:
        return Judgement(state=state)
    changed = state.version is not None and seen.version is not None and seen.version != state.version
    begun = dict(state.rules)
    events = list(_withdrawn(watch, begun, seen))
    readings = []
    acted = dict(state.acted)
    rules = {}
    for rule in watch.rules:
        before, missed = _catch_up(rule, begun.get(rule.name, RuleState()), seen, watch)
        events += missed
        if changed:
            events += _superseded(rule, before, seen)
            before = RuleState(blind=before.blind, told_blind=before.told_blind)
        after, happened = _step(rule, before, seen, watch)
        events += [_ordered(event, rule, seen, state.acted, acted) for event in happened]
        rules[rule.name] = after
        value = seen.metrics.get(rule.metric)
        verdict = _verdict(rule, value)
        standing = after.standing
        readings.append(Reading(rule=rule.name, metric=rule.metric, value=value, verdict=verdict, standing=standing))
    after_all = WatchState(last=seen.start, version=seen.version or state.version, rules=rules, acted=acted)
    return Judgement(
        state=after_all,
        readings=readings,
        events=events,
        orders=list(_orders(watch, events, seen)),
        notice=_notice(events),
    )


class _Step(NamedTuple):
    state: RuleState
    events: list[Event]


def _catch_up(rule: Rule, before: RuleState, seen: Observation, watch: Watch) -> _Step:
    """Return where `rule` stands after the windows that nobody judged, such as those of a paused monitor.

    They are known by the gap; a schedule that leaves windows out on purpose never has two in a row, and misses none.
    """
    last = [each.start for each in before.recent[-2:]]
    if len(last) < 2 or last[1] - last[0] > 1.5 * watch.window:
        return _Step(before, [])
    missed = round((seen.start - last[1]) / watch.window) - 1
    if missed < 1:
        return _Step(before, [])
    return _blind(rule, before.model_copy(update={"blind": before.blind + missed}), seen)


def _step(rule: Rule, before: RuleState, seen: Observation, watch: Watch) -> _Step:
    """Return where `rule` stands after the window, and what happened."""
    value = seen.metrics.get(rule.metric)
    verdict = _verdict(rule, value)
    # A window of which nothing was judged takes no place: what is older than n windows of time is forgotten.
    length = max(rule.n, 2)
    oldest = seen.start - length * watch.window
    kept = [each for each in before.recent if each.start > oldest][-(length - 1) :]
    recent = [*kept, WindowVerdict(start=seen.start, verdict=verdict)]
    bad = sum(each.verdict == "bad" for each in recent[-rule.n :])
    if verdict == "no_data":
        return _blind(rule, before.model_copy(update={"recent": recent, "blind": before.blind + 1}), seen)
    events = []
    if before.told_blind:
        events.append(_event(rule, "data_back", seen, say("{rule}: there is data again", rule=rule.name), before))
    good = before.good + 1 if verdict == "good" else 0
    after = before.model_copy(update={"recent": recent, "good": good, "blind": 0, "told_blind": False})
    if not after.incident and verdict == "bad" and bad >= rule.k:
        after = after.model_copy(update={"incident": f"{rule.name}-{stamp(seen.start)}", "level": rule.level})
        return _Step(after, [*events, _event(rule, "fired", seen, _fired(rule, seen), after)])
    if after.incident and good >= rule.clear_k:
        cleared = _event(rule, "cleared", seen, _cleared(rule, seen), after)
        # The windows of a closed incident are not counted into the next one.
        return _Step(after.model_copy(update={"incident": "", "level": 0, "recent": []}), [*events, cleared])
    return _Step(after, events)


def _blind(rule: Rule, state: RuleState, seen: Observation) -> _Step:
    if state.told_blind or state.blind < rule.no_data_k:
        return _Step(state, [])
    said = say(
        "{rule}: no data about {metric} in {count} windows; that is neither good nor bad",
        rule=rule.name,
        metric=rule.metric,
        count=state.blind,
    )
    event = _event(rule, "no_data", seen, said, state)
    return _Step(state.model_copy(update={"told_blind": True}), [event])


def _verdict(rule: Rule, value: float | None) -> Verdict:
    if value is None or not math.isfinite(value):
        return "no_data"
    if rule.is_bad(value):
        return "bad"
    return "good" if rule.is_good(value) else "between"


def _event(rule: Rule, kind: EventKind, seen: Observation, said: Text, state: RuleState) -> Event:
    return Event(
        rule=rule.name,
        kind=kind,
        level=rule.level,
        start=seen.start,
        version=seen.version,
        value=None if kind == "no_data" else seen.metrics.get(rule.metric),
        incident=state.incident,
        action=rule.action if kind == "fired" else "notify",
        told=rule.no_data == "notify" if kind in ("no_data", "data_back") else True,
        said=said,
    )


def _fired(rule: Rule, seen: Observation) -> Text:
    values = {
        "rule": rule.name,
        "metric": rule.metric,
        "value": seen.metrics[rule.metric],
        "limit": rule.threshold,
        "k": rule.k,
        "n": rule.n,
    }
    if rule.above is not None:
        return say("{rule}: {metric} is {value:.4g}, above {limit:.4g} in {k} of {n} windows", **values)
    return say("{rule}: {metric} is {value:.4g}, below {limit:.4g} in {k} of {n} windows", **values)


def _cleared(rule: Rule, seen: Observation) -> Text:
    return say(
        "{rule}: {metric} is {value:.4g}, good again for {count} windows",
        rule=rule.name,
        metric=rule.metric,
        value=seen.metrics[rule.metric],
        count=rule.clear_k,
    )


def _superseded(rule: Rule, before: RuleState, seen: Observation) -> Iterator[Event]:
    """Yield the end of an incident that was about another version than the one that answers now."""
    if before.incident:
        said = say("{rule}: version {version} answers now and is looked at anew", rule=rule.name, version=seen.version)
        yield _event(rule, "superseded", seen, said, before)


def _withdrawn(watch: Watch, states: dict[str, RuleState], seen: Observation) -> Iterator[Event]:
    """Yield the end of the incidents whose rule is not in the file any more."""
    for name in sorted(states.keys() - {rule.name for rule in watch.rules}):
        if states[name].incident:
            yield Event(
                rule=name,
                kind="withdrawn",
                level=states[name].level,
                start=seen.start,
                version=seen.version,
                incident=states[name].incident,
                said=say("{rule}: the rule was taken out of the file while it was firing", rule=name),
            )


def _ordered(
    event: Event, rule: Rule, seen: Observation, before: dict[str, datetime], acted: dict[str, datetime]
) -> Event:
    """Return the event with why its action is held back; note in `acted` that it is not."""
    if event.kind != "fired" or rule.action in TELLING:
        return event
    last = before.get(rule.action)
    if last is not None and seen.end - last < rule.cooldown:
        until = (last + rule.cooldown).isoformat(timespec="seconds")
        held = say("{action} rests until {until} after the last one", action=rule.action, until=until)
        return event.model_copy(update={"held_back": held})
    if seen.version is None:
        held = say("{action} needs a version to blame, and none answered", action=rule.action)
        return event.model_copy(update={"held_back": held})
    acted[rule.action] = seen.end
    return event


def _orders(watch: Watch, events: Iterable[Event], seen: Observation) -> Iterator[Order]:
    """Yield one order for each action that some rule asks for; going back comes before taking out of use."""
    fired = [event for event in events if event.kind == "fired" and event.held_back is None]
    asked = {event.action for event in fired} - set(TELLING)
    for action in sorted(asked - {"retire"} if "rollback" in asked else asked):
        own = [event for event in fired if event.action == action]
        yield Order(
            action=action,
            key=f"{action}-{own[0].incident}",
            model=watch.model,
            alias=watch.alias,
            version=seen.version or "",
            level=max(event.level for event in own),
            rules=[event.rule for event in own],
            incidents=[event.incident for event in own],
            why="; ".join(str(event.said) for event in own)[:400],
            evidence=seen.source,
        )


def _notice(events: Iterable[Event]) -> AlertNotice | None:
    told = sorted((event for event in events if event.told), key=lambda event: -event.level)
    if not told:
        return None
    lines = [line for event in told[:MAX_LINES] for line in (event.said, event.held_back) if line is not None]
    more = len(told) - MAX_LINES
    return AlertNotice(
        level=told[0].level,
        page=any(event.kind == "fired" and event.action == "page" for event in told),
        lines=[*lines, say("and {count} more; the model's page has all of them", count=more)] if more > 0 else lines,
    )
