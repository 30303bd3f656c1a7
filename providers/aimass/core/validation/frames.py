"""From the rows of a dataset to the pandas frames that Great Expectations reads, with plain numpy types."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from aimass.core.datasets import collect

if TYPE_CHECKING:
    import pandas as pd


MOST_CELLS = 8_000_000


def sampled_frame(frame: pl.LazyFrame, rows: int, most_rows: int) -> pd.DataFrame:
    """Return at most `most_rows` evenly spaced rows of `frame` (which has `rows`) as a pandas frame.

    Of very wide frames fewer: at most `MOST_CELLS` cells.

    Numbers become int64 or float64 (NaN where missing), yes-or-no columns bool or object, texts object (None where
    missing), dates and times datetime64[us] in UTC, durations timedelta64[us]. Of anything else only its presence
    remains: True or None.
    """
    schema = frame.collect_schema()
    most_rows = max(1, min(most_rows, MOST_CELLS // max(1, len(schema))))
    sample = collect(
        frame.gather_every(max(1, math.ceil(rows / most_rows))).select(_plain(*item) for item in schema.items())
    )
    return _to_pandas(sample)


def _plain(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if isinstance(dtype, pl.Datetime | pl.Date):
        return column.cast(pl.Datetime("us"))
    if isinstance(dtype, pl.Duration):
        return column.cast(pl.Duration("us"))
    if isinstance(dtype, pl.Decimal):
        return column.cast(pl.Float64)
    if isinstance(dtype, pl.Time | pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    if dtype.is_numeric() or isinstance(dtype, pl.Boolean | pl.String):
        return column
    return pl.when(column.is_not_null()).then(True).alias(name)


def _to_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: _series(frame[name]) for name in frame.columns}, copy=False)


def _series(series: pl.Series) -> Any:
    import pandas as pd

    if series.dtype == pl.String or (series.dtype == pl.Boolean and series.null_count()):
        return pd.Series(series.to_list(), dtype=object)
    return series.to_numpy()
