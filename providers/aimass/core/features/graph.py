"""The feature graph: raw columns in, one float32 matrix out, said once for polars and once for ONNX."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from aimass.core.artifacts import Artifact
from aimass.core.backends import backend_of
from aimass.core.datasets import collect
from aimass.core.errors import CorruptDataError
from aimass.core.features import FEATURES
from aimass.core.features.base import Transform, Variable
from aimass.core.features.canonical import RawColumn, canonical
from aimass.core.features.canonical_rows import Feeds, encode_frame
from aimass.core.features.edges import edge_rows
from aimass.core.features.onnx_builder import FLOAT32_MAX, GraphBuilder
from aimass.core.features.row_encoder import encode_rows

if TYPE_CHECKING:
    import onnx

GRAPH_FILE = "graph.json"
ONNX_FILE = "features.onnx"
FORMAT_VERSION = 1


class FeatureGraph:
    """Everything between raw rows and the model's matrix.

    Parameters
    ----------
    raw : sequence of RawColumn
        The raw columns and their canonical form.
    clean : sequence of (str, Transform)
        Fitted value-changing steps of the clean stage, with their names in the registry.
    features : sequence of (str, Transform)
        Fitted feature transforms, with their names in the registry.
    outputs : sequence of str
        The columns of the matrix, in order.
    """

    def __init__(
        self,
        raw: Sequence[RawColumn],
        clean: Sequence[tuple[str, Transform]],
        features: Sequence[tuple[str, Transform]],
        outputs: Sequence[str],
    ) -> None:
        self.raw = list(raw)
        self.clean = list(clean)
        self.features = list(features)
        self.outputs = list(outputs)

    @property
    def raw_columns(self) -> list[tuple[str, str]]:
        """Name and Arrow type of each raw column, in the order of the ONNX inputs."""
        return [(column.name, column.type) for column in self.raw]

    # --- the batch face -----------------------------------------------------------------------------------------

    def canonical(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return raw rows in canonical form (see the module `canonical`)."""
        return canonical(frame, self.raw)

    def transform(self, frame: pl.LazyFrame, *, keep: Sequence[str] = ()) -> pl.LazyFrame:
        """Return the features of raw rows: float32, named and ordered as `outputs`, after the columns `keep`."""
        kept = frame.with_columns([pl.col(name).alias(f"\n{name}") for name in keep])
        return self._matrix(apply(self.canonical(kept), self.clean), keep)

    def transform_cleaned(self, frame: pl.LazyFrame, *, keep: Sequence[str] = ()) -> pl.LazyFrame:
        """Return the features of rows that have been through the clean stage already."""
        kept = frame.with_columns([pl.col(name).alias(f"\n{name}") for name in keep])
        return self._matrix(cleaned_canonical(kept, self.raw, self.clean), keep)

    def _matrix(self, frame: pl.LazyFrame, keep: Sequence[str]) -> pl.LazyFrame:
        originals = [pl.col(f"\n{name}").alias(name) for name in keep]
        return apply(frame, self.features).select(originals + [matrix_column(name) for name in self.outputs])

    # --- the ONNX face ------------------------------------------------------------------------------------------

    def encode(self, frame: pl.DataFrame) -> Feeds:
        """Return raw rows as the feeds of an ONNX session: arrays of shape (n_rows,), by input.

        Raises
        ------
        SchemaMismatchError
            A raw column is missing or of another type.
        DataError
            A text is the one that is reserved for missing values.
        """
        names = [column.name for column in self.raw]
        return encode_frame(collect(self.canonical(frame.lazy()).select(names)), self.raw)

    def encode_rows(self, rows: Sequence[Mapping[str, Any]]) -> Feeds:
        """Do the same for rows given as mappings, without polars; a missing value is None."""
        return encode_rows(rows, self.raw)

    def to_onnx(self) -> onnx.ModelProto:
        """Return the graph from the canonical raw columns to ``features``, float32 [N, n_features]."""
        builder = GraphBuilder()
        for column in self.raw:
            builder.add_input(column.name, column.kind)
        for _, transform in [*self.clean, *self.features]:
            transform.nodes(builder)
        return builder.build(self.outputs)

    def edge_rows(self, base: pl.DataFrame, thresholds: Mapping[str, Iterable[float]] | None = None) -> pl.DataFrame:
        """Return raw rows at the edges: missing, NaN, infinite, unseen, and at `thresholds` of features ± 1 ulp.

        Parameters
        ----------
        base : DataFrame
            Some raw rows; each edge row is one of them with one cell changed.
        thresholds : mapping of str to iterable of float, optional
            Where the model decides, by feature.
        """
        return edge_rows(self, base, thresholds or {})

    # --- as a document ------------------------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """Return the graph, JSON-able."""
        return {
            "format_version": FORMAT_VERSION,
            "raw": [column.model_dump(mode="json") for column in self.raw],
            "clean": transforms_document(self.clean),
            "features": transforms_document(self.features),
            "outputs": self.outputs,
        }

    @classmethod
    def from_document(cls, document: Any) -> FeatureGraph:
        """Build the graph that `document` describes; raises CorruptDataError where it is of another format."""
        if not isinstance(document, dict) or document.get("format_version") != FORMAT_VERSION:
            raise CorruptDataError(
                "This is not a feature graph that this version reads",
                expected=f"format_version {FORMAT_VERSION}",
                hint="Run the featurize stage again",
            )
        return cls(
            [RawColumn.model_validate(item) for item in document["raw"]],
            transforms_from(document["clean"]),
            transforms_from(document["features"]),
            document["outputs"],
        )

    @classmethod
    def load(cls, artifact: Artifact) -> FeatureGraph:
        """Load the graph that the featurize stage published."""
        return cls.from_document(artifact.read_json(GRAPH_FILE))


def apply(frame: pl.LazyFrame, transforms: Iterable[tuple[str, Transform]]) -> pl.LazyFrame:
    """Return `frame` after fitted `transforms`, one after the other."""
    for _, transform in transforms:
        frame = frame.with_columns(transform.expressions())
    return frame


def cleaned_canonical(
    frame: pl.LazyFrame, raw: Sequence[RawColumn], clean: Sequence[tuple[str, Transform]]
) -> pl.LazyFrame:
    """Return rows that the clean stage wrote in the graph's own types: what parsing and steps made stays as it is."""
    kinds = {column.name: column for column in raw}
    for _, transform in clean:
        for output in transform.outputs():
            native = {"string": "string", "float": "double"}.get(output.kind, "int64")
            kinds[output.name] = RawColumn(name=output.name, type=native, kind=output.kind)
    present = frame.collect_schema().names()
    return canonical(frame, [column for name, column in kinds.items() if name in present])


def matrix_column(name: str) -> pl.Expr:
    """Return a number column as it stands in the matrix: float32, missing is NaN, beyond float32's range its end."""
    return (
        pl.col(name).cast(pl.Float64).clip(-FLOAT32_MAX, FLOAT32_MAX).fill_null(math.nan).cast(pl.Float32).alias(name)
    )


def transforms_document(transforms: Iterable[tuple[str, Transform]]) -> list[dict[str, Any]]:
    """Return fitted transforms, JSON-able."""
    return [
        {"type": name, "settings": transform.settings.model_dump(mode="json"), "state": transform.state()}
        for name, transform in transforms
    ]


def transforms_from(documents: Iterable[Mapping[str, Any]]) -> list[tuple[str, Transform]]:
    """Return the fitted transforms that `documents` describe."""
    found = []
    for document in documents:
        kind, settings = backend_of(FEATURES, {"type": document["type"], **document["settings"]})
        transform = kind(settings)
        transform.restore(document["state"])
        found.append((document["type"], transform))
    return found


def variables_after(start: Iterable[Variable], transforms: Iterable[tuple[str, Transform]]) -> dict[str, Variable]:
    """Return the columns that stand after `transforms`, by name."""
    found = {variable.name: variable for variable in start}
    for _, transform in transforms:
        found |= {variable.name: variable for variable in transform.outputs()}
    return found
