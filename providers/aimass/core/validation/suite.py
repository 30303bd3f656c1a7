"""The suite: a flat list of expectations, generated from an exploration and changed by the pipeline's ``suite``.

One expectation is a mapping, in ``suite.yaml`` as in the pipeline::

    - id: carrier.in_set                                  # names it in `skip` and `change`
      expectation: expect_column_values_to_be_in_set      # any expectation of Great Expectations
      column: carrier
      value_set: [AA, UA]                                 # the rest goes to Great Expectations as it is
      mostly: 0.95
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from pydantic import Field

from aimass.core.errors import ConfigError, UnknownNameError
from aimass.core.exploration.profile import ColumnProfile, Exploration
from aimass.core.settings import Settings

Expectation = dict[str, Any]

MOST_SET_VALUES = 50
MOST_COLUMNS = 200
LONGEST_SET_VALUE = 199
SAME_AS_TIME = 0.8
NULL_TOLERANCE = 0.1
RANGE_MARGIN = 0.5
TYPES = {"numeric": ["int", "float"], "boolean": ["bool"], "category": ["str"], "temporal": ["datetime"]}
HEADER = """\
# Expectations on the data of this pipeline, made from what explore saw in the training part.
# To change one, name its id in the pipeline under validate: suite: (skip, change, add), or take the whole list over
# as validate: suite: expectations. All kinds: https://greatexpectations.io/expectations/
"""


class SuiteSettings(Settings):
    """How the pipeline changes the generated suite."""

    expectations: tuple[Expectation, ...] | None = Field(
        default=None, description="The whole suite, in place of the generated one."
    )
    skip: tuple[str, ...] = Field(
        default=(), description="Ids of expectations to leave out; * stands for anything (plane_*, *.range)."
    )
    change: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="By id: arguments that replace the generated ones."
    )
    add: tuple[Expectation, ...] = Field(default=(), description="Further expectations.")


def build_suite(found: Exploration, settings: SuiteSettings) -> list[Expectation]:
    """Return the expectations to run: generated or given, without the skipped, with the changes and additions.

    Raises
    ------
    ConfigError
        An expectation has no name, or `skip` or `change` names one that does not exist.
    """
    given = settings.expectations
    suite = list(generate(found)) if given is None else [_complete(item) for item in given]
    ids = [item["id"] for item in suite]
    for pattern in settings.skip:
        if not fnmatch.filter(ids, pattern):
            raise UnknownNameError("expectation to skip", pattern, ids)
    for name in settings.change:
        if name not in ids:
            raise UnknownNameError("expectation to change", name, ids)
    kept = [item for item in suite if not any(fnmatch.fnmatchcase(item["id"], pattern) for pattern in settings.skip)]
    changed = [{**item, **settings.change.get(item["id"], {})} for item in kept]
    return [*changed, *(_complete(item) for item in settings.add)]


def to_yaml(suite: Sequence[Expectation]) -> str:
    """Return the suite as an editable document."""
    return HEADER + yaml.safe_dump(list(suite), sort_keys=False, allow_unicode=True, width=120)


def generate(found: Exploration) -> Iterator[Expectation]:
    """Yield the expectations that the training part suggests, tolerant enough for next month's rows."""
    yield _item("table", "rows", "expect_table_row_count_to_be_between", min_value=1)
    yield _item(
        "table",
        "columns",
        "expect_table_columns_to_match_set",
        column_set=[column.name for column in found.columns],
        exact_match=False,
    )
    with_time = _moving_with_time(found)
    for column in found.columns[:MOST_COLUMNS]:
        if column.kind in TYPES and column.rows > column.missing:
            yield _of(column, "type", "expect_column_values_to_be_in_type_list", type_list=TYPES[column.kind])
        yield from _not_null(column)
        yield from _values(column, moves_with_time=column.name in with_time)


def _not_null(column: ColumnProfile) -> Iterator[Expectation]:
    share = 1 - column.missing_share
    least = 1.0 if column.role in ("target", "id") and share == 1 else _floor(share - NULL_TOLERANCE)
    if least > 0:
        yield _of(column, "not_null", "expect_column_values_to_not_be_null", mostly=least)


def _values(column: ColumnProfile, *, moves_with_time: bool) -> Iterator[Expectation]:
    is_unique = column.distinct_is_exact and column.distinct == column.rows - column.missing > 1
    if column.role == "id" and is_unique:
        yield _of(column, "unique", "expect_column_values_to_be_unique")
    if column.kind in ("category", "boolean") and 0 < column.distinct <= MOST_SET_VALUES and _is_whole(column):
        values = [item.value == "true" if column.kind == "boolean" else item.value for item in column.top]
        mostly = 1.0 if column.role == "target" else 0.95
        yield _of(column, "in_set", "expect_column_values_to_be_in_set", value_set=values, mostly=mostly)
    elif column.kind == "category" and column.texts is not None and column.texts.max_length:
        longest = 2 * column.texts.max_length
        name = "expect_column_value_lengths_to_be_between"
        yield _of(column, "lengths", name, min_value=0, max_value=longest, mostly=0.99)
    if column.kind == "numeric" and column.role == "raw" and not moves_with_time:
        yield from _range(column)


def _range(column: ColumnProfile) -> Iterator[Expectation]:
    numbers = column.numbers
    if numbers is None or numbers.min is None or numbers.max is None:
        return
    margin = max(
        (numbers.max - numbers.min) * RANGE_MARGIN, abs(numbers.max) * 0.1 if numbers.min == numbers.max else 0
    )
    low, high = numbers.min - margin, numbers.max + margin
    if not (math.isfinite(low) and math.isfinite(high)):
        return
    low = max(0.0, low) if numbers.min >= 0 else low
    name = "expect_column_values_to_be_between"
    yield _of(column, "range", name, min_value=_round(low, math.floor), max_value=_round(high, math.ceil), mostly=0.99)


def _moving_with_time(found: Exploration) -> set[str]:
    """Return the columns that rise or fall with the time column: their next values lie outside what was seen."""
    times = {column.name for column in found.columns if column.role == "time"}
    names = found.correlations.columns
    return {
        other
        for row, name in enumerate(names)
        if name in times
        for other, value in zip(names, found.correlations.spearman[row], strict=True)
        if value is not None and abs(value) >= SAME_AS_TIME
    }


def _is_whole(column: ColumnProfile) -> bool:
    """Return whether `top` holds every value, none of them cut."""
    is_complete = column.top_is_exact and sum(item.count for item in column.top) == column.rows - column.missing
    return is_complete and all(len(item.value) <= LONGEST_SET_VALUE for item in column.top)


def _of(column: ColumnProfile, short: str, expectation: str, **arguments: Any) -> Expectation:
    return _item(column.name, short, expectation, column=column.name, **arguments)


def _item(owner: str, short: str, expectation: str, **arguments: Any) -> Expectation:
    return {"id": f"{owner}.{short}", "expectation": expectation, **arguments}


def _complete(item: Expectation) -> Expectation:
    name = item.get("expectation")
    if not isinstance(name, str):
        raise ConfigError(
            f"An expectation is given as {item!r}"[:300],
            expected="a mapping with the key 'expectation', such as expect_column_values_to_not_be_null",
        )
    owner = item.get("column", "table")
    return {"id": f"{owner}.{name.removeprefix('expect_').removeprefix('column_')}", **item}


def _floor(share: float) -> float:
    return max(0.0, math.floor(share * 100) / 100)


def _round(value: float, towards: Any) -> float | int:
    """Return `value` with three significant digits, rounded away from what was seen."""
    if value == 0:
        return 0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    rounded = towards(value / step) * step
    return int(rounded) if step >= 1 else float(f"{rounded:.12g}")
