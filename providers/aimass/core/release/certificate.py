"""The parity certificate: how far the released graph and the native way are apart, row by row.

A probability may differ by at most 1e-6 + 1e-5·|p|. A label may differ only where the probability is within 1e-5 of
the threshold. A feature with discrete values may differ where a computed number lies within an ulp of an edge; such
rows are counted and named, must be rare, and their labels are held to the same rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from aimass.core import settings
from aimass.core.texts import Text, say

ABSOLUTE = 1e-6
RELATIVE = 1e-5
THRESHOLD_BAND = 1e-5
NEAR_EDGE_SHARE = 1e-3
WANTED_ROWS = 10_000


class ParitySettings(settings.Settings):
    """How much of the held-out data is compared."""

    rows: int = Field(
        default=20_000,
        ge=1,
        description="Held-out rows to compare; fewer than 10,000 is allowed where there are fewer.",
    )
    edge_rows: bool = Field(
        default=True, description="Whether rows at every threshold of the graph are made and added."
    )


class Certificate(BaseModel):
    """What was compared and how it came out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ok: bool = Field(description="Whether the released graph may stand for the native model.")
    rows: int = Field(description="Held-out rows that were compared.")
    edge_rows: int = Field(description="Generated rows at edges: thresholds ± 1 ulp, null, NaN, ±inf, unseen.")
    max_abs_diff: float = Field(description="Greatest difference of the probabilities.")
    outside_tolerance: int = Field(description="Rows whose probabilities differ by more than 1e-6 + 1e-5·|p|.")
    flips: int = Field(description="Rows whose labels differ.")
    flips_outside: int = Field(description="Of these, rows whose probability is more than 1e-5 from the threshold.")
    near_edge_rows: int = Field(description="Rows in which only a discrete feature differs: a number lies at an edge.")
    near_edge_held_out: int = Field(default=0, description="Of these, held-out rows.")
    differing_features: dict[str, int] = Field(description="Rows in which a feature differs, by feature.")
    worst_row: dict[str, Any] = Field(description="The row with the greatest difference: its place and probabilities.")
    threshold: float = Field(description="From which probability on the label is 1.")
    model_sha256: str = Field(description="Digest of the model.onnx that was compared.")
    versions: dict[str, str] = Field(description="Versions of the packages that did both sides.")
    warnings: list[str] = Field(default_factory=list, description="What a reader should know.")
    reasons: list[str] = Field(default_factory=list, description="Why it does not hold; empty where it does.")


@dataclass(frozen=True)
class Side:
    """One side's answers.

    Attributes
    ----------
    features : array, shape (n_rows, n_features), float32
        The matrix that the model saw.
    probability : array, shape (n_rows,), float64
        Of the positive class.
    label : array, shape (n_rows,), int64
        1 where positive.
    """

    features: npt.NDArray[np.float32]
    probability: npt.NDArray[np.float64]
    label: npt.NDArray[np.int64]


def compare(
    released: Side,
    native: Side,
    *,
    names: Sequence[str],
    rows: int,
    threshold: float,
    model_sha256: str,
    versions: Mapping[str, str],
) -> Certificate:
    """Compare both sides.

    Parameters
    ----------
    released, native : Side
        The ONNX graph's answers and the native model's; held-out rows first, edge rows after them.
    names : sequence of str
        Names of the features.
    rows : int
        How many of the rows are held-out ones.
    threshold : float
        Of the label.
    model_sha256 : str
        Digest of the graph.
    versions : mapping
        Versions of the packages.
    """
    total = len(native.probability)
    distance = _distance(released.probability, native.probability)
    differs = _far(released.features, native.features)
    near_edge = _near_edge(differs, released.features, native.features)
    outside = (distance > ABSOLUTE + RELATIVE * np.abs(native.probability)) & ~near_edge
    flipped = released.label != native.label
    flipped_outside = flipped & (np.abs(native.probability - threshold) > THRESHOLD_BAND)
    figures: dict[str, Any] = {
        "rows": rows,
        "edge_rows": total - rows,
        "max_abs_diff": float(distance.max(initial=0.0)),
        "outside_tolerance": int(outside.sum()),
        "flips": int(flipped.sum()),
        "flips_outside": int(flipped_outside.sum()),
        "near_edge_rows": int(near_edge.sum()),
        "near_edge_held_out": int(near_edge[:rows].sum()),
    }
    reasons = refusals(figures)
    return Certificate(
        ok=not reasons,
        **figures,
        differing_features={name: int(count) for name, count in zip(names, differs.sum(axis=0), strict=True) if count},
        worst_row=_worst(distance, released, native, rows),
        threshold=threshold,
        model_sha256=model_sha256,
        versions=dict(versions),
        warnings=[str(warning) for warning in cautions(figures)],
        reasons=[str(reason) for reason in reasons],
    )


def refusals(figures: Mapping[str, Any]) -> list[Text]:
    """Return why a certificate with these figures does not hold; nothing where it does."""
    found = []
    if figures["outside_tolerance"]:
        found.append(
            say(
                "{rows} rows differ by more than {absolute:g} + {relative:g}·|p|",
                rows=figures["outside_tolerance"],
                absolute=ABSOLUTE,
                relative=RELATIVE,
            )
        )
    if figures["near_edge_rows"] > max(1.0, NEAR_EDGE_SHARE * (figures["rows"] + figures["edge_rows"])):
        found.append(
            say(
                "{rows} rows have a discrete feature that differs: more than edges explain",
                rows=figures["near_edge_rows"],
            )
        )
    if figures["flips_outside"]:
        found.append(
            say(
                "{rows} labels differ more than {band:g} from the threshold",
                rows=figures["flips_outside"],
                band=THRESHOLD_BAND,
            )
        )
    return found


def cautions(figures: Mapping[str, Any]) -> list[Text]:
    """Return what a reader of a certificate with these figures should know."""
    found = []
    if figures["rows"] < WANTED_ROWS:
        found.append(
            say(
                "Only {rows:,} held-out rows exist; {wanted:,} make a certificate that one can lean on",
                rows=figures["rows"],
                wanted=WANTED_ROWS,
            )
        )
    if figures["near_edge_held_out"]:
        found.append(
            say("{rows} held-out rows lie at an edge and fall on different sides", rows=figures["near_edge_held_out"])
        )
    return found


def _distance(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return |left - right| in float64; 0 where both are the same infinity or both NaN, infinite where one is NaN."""
    wide_left, wide_right = left.astype(np.float64), right.astype(np.float64)
    with np.errstate(invalid="ignore"):
        distance = np.abs(wide_left - wide_right)
    same = (wide_left == wide_right) | (np.isnan(wide_left) & np.isnan(wide_right))
    return np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))


def _far(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    finite = np.where(np.isfinite(right), np.abs(right.astype(np.float64)), 0.0)
    far: npt.NDArray[np.bool_] = _distance(left, right) > ABSOLUTE + RELATIVE * finite
    return far


def _near_edge(
    differs: npt.NDArray[np.bool_], released: npt.NDArray[np.float32], native: npt.NDArray[np.float32]
) -> npt.NDArray[np.bool_]:
    """Return the rows that differ in whole-numbered features only: bins, codes, flags on both engines."""
    whole = (released == np.round(released)) & (native == np.round(native))
    found: npt.NDArray[np.bool_] = np.asarray(differs.any(axis=1) & ~(differs & ~whole).any(axis=1))
    return found


def _worst(distance: npt.NDArray[np.float64], released: Side, native: Side, rows: int) -> dict[str, Any]:
    if not len(distance):
        return {}
    index = int(distance.argmax())
    return {
        "kind": "held-out" if index < rows else "edge",
        "index": index if index < rows else index - rows,
        "released": float(released.probability[index]),
        "native": float(native.probability[index]),
    }
