"""Year, month, weekday, hour … of a point in time, also as points on a circle."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import polars as pl
from onnx import TensorProto
from pydantic import Field

from aimass.core.features.base import Transform, TransformSettings, Variable
from aimass.core.features.fill import indicator_name
from aimass.core.features.onnx_builder import GraphBuilder
from aimass.core.features.statistics import middle, missing_counts

Part = Literal["year", "month", "day", "weekday", "hour", "minute"]

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
# First value and period of what comes round again; a day of the month comes round after about 31.
CYCLES = {"month": (1, 12), "day": (1, 31), "weekday": (1, 7), "hour": (0, 24), "minute": (0, 60)}


class DatePartsSettings(TransformSettings):
    """Settings of the transform `date_parts`."""

    parts: tuple[Part, ...] = Field(
        default=("year", "month", "day", "weekday", "hour"),
        min_length=1,
        description="Which parts, in UTC: year, month (1-12), day (1-31), weekday (Monday is 1), hour, minute.",
    )
    cyclic: bool = Field(
        default=False,
        description="Give sine and cosine of the position in its cycle (December is near January); the year stays a number.",
    )


class DateParts(Transform):
    """``time_month``, ``time_hour_sin`` …

    A missing time counts as the training rows' median time, and ``time_missing`` marks it when the training rows
    missed any. The calendar is the proleptic Gregorian one, before 1970 too.
    """

    Settings = DatePartsSettings
    accepts = ("date",)
    replaces = False

    def _learn(self, frame: pl.LazyFrame) -> None:
        self.median_ = [middle(frame, name) or 0 for name in self.names]
        counts = missing_counts(frame, self.names)
        self.marked_ = [name for name, missing in zip(self.names, counts, strict=True) if missing]

    def _part_names(self, part: Part) -> list[str]:
        return [f"{part}_sin", f"{part}_cos"] if self.settings.cyclic and part in CYCLES else [part]

    def outputs(self) -> list[Variable]:
        """Return the parts of each column, and where it was missing."""
        parts = [f"{name}_{text}" for part in self.settings.parts for text in self._part_names(part) for name in self.names]
        return [Variable(name, "float", nullable=False) for name in [*parts, *map(indicator_name, self.marked_)]]

    def expressions(self) -> list[pl.Expr]:
        """Return one expression per part."""
        result = [pl.col(name).is_null().cast(pl.Float64).alias(indicator_name(name)) for name in self.marked_]
        for name, median in zip(self.names, self.median_, strict=True):
            when = pl.col(name).fill_null(median).cast(pl.Datetime("us"))
            for part in self.settings.parts:
                value = getattr(when.dt, part)().cast(pl.Float64)
                if self.settings.cyclic and part in CYCLES:
                    first, period = CYCLES[part]
                    angle = (value - first) * (2 * math.pi / period)
                    result += [angle.sin().alias(f"{name}_{part}_sin"), angle.cos().alias(f"{name}_{part}_cos")]
                else:
                    result.append(value.alias(f"{name}_{part}"))
        return result

    def nodes(self, builder: GraphBuilder) -> None:
        """Add the calendar's arithmetic for all columns at once."""
        values, missing = builder.integer_rows(self.names)
        medians = builder.ints([[median] for median in self.median_])
        parts = calendar(builder, builder.op("Where", missing, medians, values), set(self.settings.parts))
        for part in self.settings.parts:
            value = builder.op("Cast", parts[part], to=TensorProto.DOUBLE)
            if self.settings.cyclic and part in CYCLES:
                first, period = CYCLES[part]
                shifted = builder.op("Sub", value, builder.constant(float(first)))
                angle = builder.op("Mul", shifted, builder.constant(2 * math.pi / period))
                self._set(builder, f"{part}_sin", builder.op("Sin", angle))
                self._set(builder, f"{part}_cos", builder.op("Cos", angle))
            else:
                self._set(builder, part, value)
        if self.marked_:
            rows = builder.op("Gather", missing, builder.ints([self.names.index(name) for name in self.marked_]), axis=0)
            marks = builder.op("Cast", rows, to=TensorProto.DOUBLE)
            builder.set_numbers([indicator_name(name) for name in self.marked_], marks)

    def _set(self, builder: GraphBuilder, text: str, matrix: str) -> None:
        builder.set_numbers([f"{name}_{text}" for name in self.names], matrix)


def calendar(builder: GraphBuilder, time_us: str, parts: set[Part]) -> dict[str, str]:
    """Return the int64 tensors of the asked parts of a tensor of microseconds since 1970 UTC.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    """

    def of(kind: str, x: str, n: int) -> str:
        return builder.op(kind, x, builder.ints(n))

    days = builder.floor_divide(time_us, DAY_US)
    in_day = of("Mod", time_us, DAY_US)
    hours = of("Div", in_day, HOUR_US)
    found = {"hour": hours, "minute": of("Div", of("Mod", in_day, HOUR_US), MINUTE_US)} if parts & {"hour", "minute"} else {}
    if "weekday" in parts:
        found["weekday"] = of("Add", of("Mod", of("Add", days, 3), 7), 1)
    return found | (_civil(builder, days) if parts & {"year", "month", "day"} else {})


def _civil(builder: GraphBuilder, days: str) -> dict[str, str]:
    """Return year, month and day; from the era on nothing is negative, so ORT's truncating Div is right."""

    def of(kind: str, x: str, y: str | int) -> str:
        return builder.op(kind, x, y if isinstance(y, str) else builder.ints(y))

    shifted = of("Add", days, 719_468)
    era = builder.floor_divide(shifted, 146_097)
    day_of_era = of("Sub", shifted, of("Mul", era, 146_097))
    leaps = of("Sub", of("Add", of("Sub", day_of_era, of("Div", day_of_era, 1_460)), of("Div", day_of_era, 36_524)),
               of("Div", day_of_era, 146_096))
    year_of_era = of("Div", leaps, 365)
    days_before = of("Sub", of("Add", of("Mul", year_of_era, 365), of("Div", year_of_era, 4)), of("Div", year_of_era, 100))
    day_of_year = of("Sub", day_of_era, days_before)
    shifted_month = of("Div", of("Add", of("Mul", day_of_year, 5), 2), 153)
    month_start = of("Div", of("Add", of("Mul", shifted_month, 153), 2), 5)
    month = of("Add", of("Mod", of("Add", shifted_month, 2), 12), 1)
    january_or_february = builder.op("Cast", of("LessOrEqual", month, 2), to=TensorProto.INT64)
    return {
        "year": of("Add", of("Add", year_of_era, of("Mul", era, 400)), january_or_february),
        "month": month,
        "day": of("Add", of("Sub", day_of_year, month_start), 1),
    }
