"""Evidently's own report, for those who know it: of a bounded sample of both sides, beside ours and never instead."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable

import polars as pl

from aimass.core.artifacts import Artifact
from aimass.core.datasets import collect, open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import DataError, MissingDependencyError, NotFoundError
from aimass.core.features.canonical import canonical, readable
from aimass.core.monitoring.profile import Profile
from aimass.core.release.base import Version

SAMPLE_ROWS = 5_000
OUTPUT_TAG = "aimass.output"


def training_sample(version: Version, profile: Profile, deps: Deps) -> pl.DataFrame:
    """Return evenly spaced rows of the training part that `version` was made with.

    Raises
    ------
    NotFoundError
        The release or its data are no longer in this store.
    """
    uri = version.tags.get(OUTPUT_TAG)
    if not uri:
        raise NotFoundError(f"{version.uri} does not say which output it was released from")
    raw = open_dataset(Artifact(uri, deps).manifest.config["raw"], deps)
    names = [column.name for column in profile.raw]
    rows = raw.scan("train", columns=names).gather_every(_step(raw.rows("train")))
    return collect(readable(canonical(rows, profile.raw), {column.name: column.kind for column in profile.raw}))


def sample_of(pieces: Iterable[pl.LazyFrame], total: int) -> pl.DataFrame:
    """Return evenly spaced rows of a window of `total` rows that comes in pieces."""
    return pl.concat([collect(piece.gather_every(_step(total))) for piece in pieces])


def evidently_page(reference: pl.DataFrame, window: pl.DataFrame) -> str:
    """Return Evidently's page on drift, with its own tests and thresholds.

    Raises
    ------
    MissingDependencyError
        Evidently is not installed.
    DataError
        It cannot be imported beside what else is installed, or does not get along with the rows.
    """
    with warnings.catch_warnings():
        # It imports whatever is installed, and divides by the variance of constant columns.
        warnings.simplefilter("ignore")
        try:
            return _drift_page(reference, window)
        except ModuleNotFoundError as error:
            raise MissingDependencyError(error.name or "evidently", extra="airflow") from error
        except Exception as error:
            raise DataError(f"Evidently failed: {type(error).__name__}: {error}") from error


def _drift_page(reference: pl.DataFrame, window: pl.DataFrame) -> str:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    kinds = DataDefinition(
        numerical_columns=[name for name, dtype in window.schema.items() if dtype.is_numeric()],
        categorical_columns=[name for name, dtype in window.schema.items() if dtype in (pl.String, pl.Boolean)],
    )
    sides = [Dataset.from_pandas(side.to_pandas(), data_definition=kinds) for side in (window, reference)]
    page: str = Report([DataDriftPreset()]).run(*sides).get_html_str(as_iframe=False)
    return page


def _step(rows: int) -> int:
    return max(1, math.ceil(rows / SAMPLE_ROWS))
