"""What came of an expectation, in words: what was expected, what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from aimass.core.reports import number, short

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


def expected_text(arguments: Mapping[str, Any]) -> str:
    """Return the arguments of an expectation as ``min_value 0, max_value 10, mostly 0.99``."""
    shown = {name: value for name, value in arguments.items() if name not in PLACES and value is not None}
    return ", ".join(f"{name} {_shown(value)}" for name, value in shown.items()) or "it holds"


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
