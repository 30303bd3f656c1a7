"""What came of an expectation, in words: what was expected, what was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from aimass.core.reports import number, percent, short

SHOWN_EXAMPLES = 5
WORDS = {"value_set": "one of", "type_list": "type", "column_set": "the columns", "regex": "pattern"}
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


def expected_text(arguments: Mapping[str, Any]) -> str:
    """Return the arguments of an expectation in words: ``between 0 and 10, for at least 99 % of the values``."""
    rest = {name: value for name, value in arguments.items() if name not in PLACES and value is not None}
    low, high, mostly = (rest.pop(name, None) for name in ("min_value", "max_value", "mostly"))
    words = []
    if low is not None or high is not None:
        words.append(_range(low, high))
    words += [f"{WORDS.get(name, name)} {_shown(value)}".strip() for name, value in rest.items() if value is not False]
    if mostly is not None and mostly < 1:
        words.append(f"for at least {percent(mostly)} of the values")
    return ", ".join(words) or "for every value"


def _range(low: Any, high: Any) -> str:
    if low is None:
        return f"at most {_shown(high)}"
    return f"at least {_shown(low)}" if high is None else f"between {_shown(low)} and {_shown(high)}"


def by_expectation(failed: Sequence[FailedExpectation]) -> list[tuple[FailedExpectation, str]]:
    """Return the first failure of each expectation, with the names of all parts in which it failed."""
    groups: dict[str, list[FailedExpectation]] = {}
    for item in failed:
        groups.setdefault(item.id, []).append(item)
    return [(group[0], ", ".join(item.part for item in group)) for group in groups.values()]


def seen_text(result: Mapping[str, Any]) -> str:
    """Return what Great Expectations observed, from one entry of its result."""
    message = _exception(result.get("exception_info") or {})
    if message:
        return f"it could not be evaluated: {short(message, 300)}"
    details = result.get("result") or {}
    share = details.get("unexpected_percent")
    if share is None:
        return f"observed {_shown(details.get('observed_value'))}" if "observed_value" in details else "no value"
    if not details.get("unexpected_count"):
        return "every value fits"
    examples = list(dict.fromkeys(_shown(value) for value in details.get("partial_unexpected_list") or []))
    shown = f", such as {', '.join(examples[:SHOWN_EXAMPLES])}" if any(text != "None" for text in examples) else ""
    return f"{details['unexpected_count']:,} of {details['element_count']:,} values do not fit ({share:.3g} %){shown}"


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        tail = f", … ({len(value)} in all)" if len(value) > SHOWN_EXAMPLES else ""
        return f"[{', '.join(_shown(item) for item in value[:SHOWN_EXAMPLES])}{tail}]"
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else short(value)


def _exception(info: Mapping[str, Any]) -> str | None:
    """Return the message of an exception; Great Expectations nests it under a metric's name, or not."""
    for entry in [info, *info.values()]:
        if isinstance(entry, Mapping) and entry.get("raised_exception"):
            return str(entry.get("exception_message") or "an exception").splitlines()[0]
    return None
