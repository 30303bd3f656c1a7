"""What calls return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ScoredRow:
    """The answer for one row.

    Attributes
    ----------
    probability : float
        Of the positive class.
    label : str
        Name of the class, by the model's own threshold.
    """

    probability: float
    label: str


@dataclass(frozen=True)
class Prediction:
    """The answer for rows.

    Attributes
    ----------
    model, version : str
        What answered.
    alias : str
        The alias that led to the version; empty where the call named a version.
    request_id : str
        Names the request in the prediction log; labels refer to it.
    rows : tuple of ScoredRow
        One for each row, in their order.
    digest : str
        sha256 of the version's model.onnx.
    is_deprecated : bool
        Whether the version is about to be retired.
    """

    model: str
    version: str
    alias: str
    request_id: str
    rows: tuple[ScoredRow, ...]
    digest: str = ""
    is_deprecated: bool = False


@dataclass(frozen=True)
class Inference:
    """The answer for tensors: `outputs` by name, lists, or NumPy arrays where they came as bytes."""

    model: str
    version: str
    request_id: str
    outputs: dict[str, Any]


@dataclass(frozen=True)
class ModelMetadata:
    """What the server says about a model: its versions in memory; name → datatype of its inputs and outputs."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: dict[str, str]
    outputs: dict[str, str]
