"""Year, month, weekday, hour … of a point in time, also as points on a circle."""

from __future__ import annotations

import math
from typing import Literal

import polars as pl
from onnx import TensorProto
from pydantic import Field

from aimass.core.features.base import Transform, TransformSettings, Variable, indicator_name
from aimass.core.features.onnx_builder import GraphBuilder
from aimass.core.features.statistics import middles, missing_counts

Part = Literal["year", "month", "day", "weekday", "hour", "minute"]

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
DAYS_FROM_MARCH_0 = 719_468
"""From 1 March of the year 0, where leap days end a year, to 1 January 1970."""

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
        description="Sine and cosine of the place in the cycle (December is near January); a year stays a number.",
    )


class DateParts(Transform):
    """Columns such as ``time_month`` or ``time_hour_sin``.

    A missing time counts as the training rows' median time, and ``time_missing`` marks it when the training rows
    missed any. The calendar is the proleptic Gregorian one, before 1970 too.
    """

    Settings = DatePartsSettings
    accepts = ("date",)
    replaces = False

    def _learn(self, frame: pl.LazyFrame) -> None:
        self.median_ = [median or 0 for median in middles(frame, self.names)]
        counts = missing_counts(frame, self.names)
        self.marked_ = [name for name, missing in zip(self.names, counts, strict=True) if missing]

    def _part_names(self, part: Part) -> list[str]:
        return [f"{part}_sin", f"{part}_cos"] if self.settings.cyclic and part in CYCLES else [part]

    def outputs(self) -> list[Variable]:
        """Return the parts of each column, and where it was missing."""
        parts = [
            f"{name}_{text}" for part in self.settings.parts for text in self._part_names(part) for name in self.names
        ]
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
            rows = builder.op(
                "Gather", missing, builder.ints([self.names.index(name) for name in self.marked_]), axis=0
            )
            marks = builder.op("Cast", rows, to=TensorProto.DOUBLE)
            builder.set_numbers([indicator_name(name) for name in self.marked_], marks)

    def _set(self, builder: GraphBuilder, text: str, matrix: str) -> None:
        builder.set_numbers([f"{name}_{text}" for name in self.names], matrix)


def calendar(builder: GraphBuilder, time_us: str, parts: set[Part]) -> dict[str, str]:
    """Return the int64 tensors of the asked parts of a tensor of microseconds since 1970 UTC.

    Time is counted from 1 March of the year 0, before the canonicaliser's first date: nothing is negative, so ORT's
    truncating Div is right.

    Source: Neri and Schneider, "Euclidean affine functions and their application to calendar algorithms",
    Software: Practice and Experience 53 (2023), section 6.
    """

    def of(kind: str, x: str, n: int) -> str:
        return builder.op(kind, x, builder.ints(n))

    since_march = of("Add", time_us, DAYS_FROM_MARCH_0 * DAY_US)
    days = of("Div", since_march, DAY_US)
    found = {}
    if parts & {"hour", "minute"}:
        in_day = of("Mod", since_march, DAY_US)
        found["hour"] = of("Div", in_day, HOUR_US)
        found["minute"] = of("Div", of("Mod", in_day, HOUR_US), MINUTE_US)
    if "weekday" in parts:
        found["weekday"] = of("Add", of("Mod", of("Add", days, 2), 7), 1)
    if parts & {"year", "month", "day"}:
        found |= _civil(builder, days)
    return found


def _civil(builder: GraphBuilder, days: str) -> dict[str, str]:
    """Return year, month and day of a count of days since 1 March of the year 0."""

    def of(kind: str, x: str, y: str | int) -> str:
        return builder.op(kind, x, y if isinstance(y, str) else builder.ints(y))

    quarters = of("Add", of("Mul", days, 4), 3)
    century = of("Div", quarters, 146_097)
    in_century = of("Div", of("Mod", quarters, 146_097), 4)
    scaled = of("Mul", of("Add", of("Mul", in_century, 4), 3), 2_939_745)
    year = of("Add", of("Mul", century, 100), of("Div", scaled, 1 << 32))
    day_of_year = of("Div", of("Mod", scaled, 1 << 32), 2_939_745 * 4)
    months = of("Add", of("Mul", day_of_year, 2_141), 197_913)
    month = of("Div", months, 1 << 16)
    is_next_year = builder.op("Cast", of("GreaterOrEqual", day_of_year, 306), to=TensorProto.INT64)
    return {
        "year": of("Add", year, is_next_year),
        "month": of("Sub", month, of("Mul", is_next_year, 12)),
        "day": of("Add", of("Div", of("Mod", months, 1 << 16), 2_141), 1),
    }
