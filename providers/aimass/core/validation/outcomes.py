"""What came of an expectation, in words of the language that is spoken: what was expected, what was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from aimass.core.reports import number, percent, short
from aimass.core.texts import Text, say, translate

SHOWN_EXAMPLES = 5
PLACES = ("column", "column_list", "column_A", "column_B", "batch_id")


class FailedExpectation(BaseModel):
    """An expectation that did not hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="The expectation's id in suite.yaml.")
    expectation: str = Field(description="Its kind.")
    column: str | None = Field(default=None, description="The column, if it is about one.")
    part: str = Field(description="The share of the split in which it failed.")
    expected: str = Field(description="What was expected, in words.")
    seen: str = Field(description="What was seen, in words.")


def failure(entry: Mapping[str, Any]) -> FailedExpectation:
    """Return what an entry of Great Expectations' result says, which did not hold."""
    config = entry["expectation_config"]
    return FailedExpectation(
        id=entry["meta"]["id"],
        expectation=config["type"],
        column=config["kwargs"].get("column"),
        part=entry["meta"]["part"],
        expected=expected_text(config["kwargs"]),
        seen=seen_text(entry),
    )


def expected_text(arguments: Mapping[str, Any]) -> str:
    """Return the arguments of an expectation in words: ``between 0 and 10, for at least 99 % of the values``."""
    rest = {name: value for name, value in arguments.items() if name not in PLACES and value is not None}
    low, high, mostly = (rest.pop(name, None) for name in ("min_value", "max_value", "mostly"))
    words = []
    if low is not None or high is not None:
        words.append(_range(low, high))
    words += [_argument(name, value) for name, value in rest.items() if value is not False]
    if mostly is not None and mostly < 1:
        words.append(say("for at least {share} of the values", share=percent(mostly)))
    return translate(", ").join(map(str, words)) or str(say("for every value"))


def _argument(name: str, value: Any) -> Text:
    known = {
        "value_set": say("one of {value}", value=_shown(value)),
        "type_list": say("type {value}", value=_shown(value)),
        "column_set": say("the columns {value}", value=_shown(value)),
        "regex": say("pattern {value}", value=_shown(value)),
    }
    return known.get(name) or Text(message="{name} {value}", values={"name": name, "value": _shown(value)})


def _range(low: Any, high: Any) -> Text:
    if low is None:
        return say("at most {high}", high=_shown(high))
    if high is None:
        return say("at least {low}", low=_shown(low))
    return say("between {low} and {high}", low=_shown(low), high=_shown(high))


def by_expectation(failed: Sequence[FailedExpectation]) -> list[tuple[FailedExpectation, list[str]]]:
    """Return the first failure of each expectation, with all parts in which it failed."""
    groups: dict[str, list[FailedExpectation]] = {}
    for item in failed:
        groups.setdefault(item.id, []).append(item)
    return [(group[0], [item.part for item in group]) for group in groups.values()]


def seen_text(result: Mapping[str, Any]) -> str:
    """Return what Great Expectations observed, from one entry of its result."""
    message = _exception(result.get("exception_info") or {})
    if message:
        return str(say("it could not be evaluated: {message}", message=short(message, 300)))
    details = result.get("result") or {}
    share = details.get("unexpected_percent")
    if share is None:
        observed = details.get("observed_value")
        seen = say("observed {value}", value=_shown(observed)) if "observed_value" in details else say("no value")
        return str(seen)
    if not details.get("unexpected_count"):
        return str(say("every value fits"))
    said = say(
        "{count:,} of {all:,} values do not fit ({share:.3g} %)",
        count=details["unexpected_count"],
        all=details["element_count"],
        share=share,
    )
    examples = list(dict.fromkeys(_shown(value) for value in details.get("partial_unexpected_list") or []))
    if any(text != "None" for text in examples):
        said = say("{seen}, such as {examples}", seen=said, examples=translate(", ").join(examples[:SHOWN_EXAMPLES]))
    return str(said)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        items = ", ".join(_shown(item) for item in value[:SHOWN_EXAMPLES])
        cut = say("[{items}, … ({count} in all)]", items=items, count=len(value))
        return str(cut) if len(value) > SHOWN_EXAMPLES else f"[{items}]"
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else short(value)


def _exception(info: Mapping[str, Any]) -> str | None:
    """Return the message of an exception; Great Expectations nests it under a metric's name, or not."""
    for entry in [info, *info.values()]:
        if isinstance(entry, Mapping) and entry.get("raised_exception"):
            return str(entry.get("exception_message") or "an exception").splitlines()[0]
    return None
