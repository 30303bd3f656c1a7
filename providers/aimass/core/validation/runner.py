"""Run a suite with Great Expectations itself: in memory, without network, files, telemetry or progress bars.

Great Expectations builds a graph of metrics whose cost grows faster than the number of expectations in one call, and
hashes the whole frame for each batch; so each column's expectations run on a frame with that column alone.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aimass.core.errors import ConfigError, UnknownNameError
from aimass.core.validation.suite import Expectation

if TYPE_CHECKING:
    import pandas as pd

TYPE_NAMES = {
    "int": ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"],
    "float": ["float32", "float64"],
    "datetime": ["datetime64[us]", "timedelta64[us]"],
}
ONCE = {"expect_column_values_to_be_in_type_list", "expect_column_values_to_be_of_type"}
SUITE_NAME = "aimass"


class Runner:
    """A suite ready to run on frames.

    Parameters
    ----------
    suite : sequence of dict
        The expectations, as in ``suite.yaml``.

    Raises
    ------
    ConfigError
        Great Expectations knows no such expectation, or refuses its arguments.
    """

    def __init__(self, suite: Sequence[Expectation]) -> None:
        with warnings.catch_warnings():
            # Its import walks through optional engines (Spark among them) that warn about each other.
            warnings.simplefilter("ignore")
            self._batches = _batch_definition()
            self._prepared = [(item, _prepare(item)) for item in suite]

    def columns(self) -> list[str] | None:
        """Return the columns that the suite looks at, in order; None when it looks at the table as a whole."""
        named = [columns_of(item) for item, _ in self._prepared]
        return list(dict.fromkeys(name for names in named for name in names)) if all(named) else None

    def run(
        self, frame: pd.DataFrame, part: str, *, is_first: bool, tell: Callable[[int, int], None]
    ) -> list[dict[str, Any]]:
        """Return one entry in Great Expectations' result format for each expectation, in the suite's order.

        Parameters
        ----------
        frame : pandas.DataFrame
            Rows of one share of the split.
        part : str
            Its name, noted in each entry's ``meta``.
        is_first : bool
            Types are looked at in the first part only: all parts of a dataset share one schema.
        tell : callable
            Hears how many expectations are done, and of how many.
        """
        wanted = [item for item in self._prepared if is_first or item[0]["expectation"] not in ONCE]
        entries: dict[int, dict[str, Any]] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for columns, group in _by_columns(wanted):
                known = [name for name in columns if name in frame.columns]
                entries |= self._run_group(frame[known] if known else frame, group, part)
                tell(len(entries), len(wanted))
        return [entries[id(item)] for item, _ in wanted]

    def _run_group(
        self, frame: pd.DataFrame, group: Sequence[tuple[Expectation, Any]], part: str
    ) -> dict[int, dict[str, Any]]:
        from great_expectations.core.expectation_suite import ExpectationSuite

        suite = ExpectationSuite(name=SUITE_NAME)
        for position, (_, prepared) in enumerate(group):
            # Great Expectations drops equal expectations and may reorder: the position brings them back.
            prepared.meta = {"position": position}
            suite.expectations.append(prepared)
        found = self._batches.get_batch({"dataframe": frame}).validate(suite, result_format="BASIC")
        entries = {}
        for entry in found.to_json_dict()["results"]:
            item = group[entry["expectation_config"]["meta"].pop("position")][0]
            entry["meta"] = {"id": item["id"], "part": part}
            entries[id(item)] = entry
        return entries


def columns_of(item: Expectation) -> list[str]:
    """Return the columns that an expectation names."""
    named = [item.get("column"), item.get("column_A"), item.get("column_B"), *item.get("column_list", [])]
    return [name for name in named if isinstance(name, str)]


def _by_columns(
    items: Sequence[tuple[Expectation, Any]],
) -> Iterator[tuple[tuple[str, ...], list[tuple[Expectation, Any]]]]:
    groups: dict[tuple[str, ...], list[tuple[Expectation, Any]]] = {}
    for item in items:
        groups.setdefault(tuple(columns_of(item[0])), []).append(item)
    yield from groups.items()


def _batch_definition() -> Any:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("aimass").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("all")


def _prepare(item: Expectation) -> Any:
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    name = item["expectation"]
    known = list_registered_expectation_implementations()
    if name not in known:
        raise UnknownNameError("expectation", name, known)
    arguments = {key: value for key, value in item.items() if key not in ("id", "expectation")}
    if name == "expect_column_values_to_be_in_type_list":
        arguments["type_list"] = [full for short in item["type_list"] for full in TYPE_NAMES.get(short, [short])]
    try:
        return get_expectation_impl(name)(**arguments)
    except (ValueError, TypeError) as error:
        text = "; ".join(line.strip() for line in str(error).splitlines()[:4])
        raise ConfigError(
            f"Great Expectations refuses {item['id']} ({name}): {text}",
            hint=f"See https://greatexpectations.io/expectations/{name}/",
        ) from None


def result_document(entries: Sequence[Mapping[str, Any]], parts: Mapping[str, int]) -> dict[str, Any]:
    """Return all entries as one document in Great Expectations' validation result format.

    ``meta.parts`` says how many rows of each share were looked at; each result's ``meta`` names its share.
    """
    from great_expectations import __version__

    good = sum(bool(entry["success"]) for entry in entries)
    return {
        "success": good == len(entries),
        "results": list(entries),
        "suite_name": SUITE_NAME,
        "suite_parameters": {},
        "statistics": {
            "evaluated_expectations": len(entries),
            "successful_expectations": good,
            "unsuccessful_expectations": len(entries) - good,
            "success_percent": 100.0 * good / len(entries) if entries else None,
        },
        "meta": {"great_expectations_version": __version__, "parts": dict(parts)},
        "id": None,
    }
