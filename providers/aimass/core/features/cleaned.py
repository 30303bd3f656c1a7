"""What the clean stage hands to featurize: the canonical form of the raw columns and its fitted transforms."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from aimass.core.artifacts import Artifact
from aimass.core.errors import SchemaMismatchError
from aimass.core.features.base import Transform
from aimass.core.features.canonical import RawColumn, raw_columns
from aimass.core.features.graph import transforms_document, transforms_from
from aimass.core.manifest import Column, Manifest
from aimass.core.matrix import ROLE

CLEAN_FILE = "clean.json"
NOT_FEATURES = ("target", "id", "time")


@dataclass(frozen=True)
class CleanedColumns:
    """The raw feature columns in their canonical form, the value-changing steps, and the columns left out."""

    raw: list[RawColumn]
    transforms: list[tuple[str, Transform]] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the content of ``clean.json``."""
        document = {
            "raw": [column.model_dump(mode="json") for column in self.raw],
            "transforms": transforms_document(self.transforms),
            "dropped": self.dropped,
        }
        return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)

    @classmethod
    def load(cls, artifact: Artifact, raw: Manifest) -> CleanedColumns:
        """Load what clean left in `artifact`; plain columns of `raw` where the rows never went through clean.

        Raises
        ------
        SchemaMismatchError
            `raw` is not the dataset that was cleaned: a column is not there or has another type.
        """
        if CLEAN_FILE not in artifact.names():
            return cls(raw_columns(feature_columns(raw)))
        document = artifact.read_json(CLEAN_FILE)
        columns = [RawColumn.model_validate(item) for item in document["raw"]]
        for column in columns:
            found = raw.column(column.name)
            if found is None or found.type != column.type:
                raise SchemaMismatchError(
                    f"Column {column.name!r} was cleaned as {column.type}, but the raw dataset has "
                    + (found.type if found else "no such column"),
                    expected="`raw` to be the dataset that clean read",
                    column=column.name,
                )
        return cls(columns, transforms_from(document["transforms"]), document["dropped"])


def feature_columns(manifest: Manifest) -> list[Column]:
    """Return the columns that may become features: all but target, id and time."""
    return [column for column in manifest.columns if column.tags.get(ROLE) not in NOT_FEATURES]
