"""The manifest: the one file that makes a dataset or an artifact exist, written last and at once."""

from __future__ import annotations

import json
import posixpath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aimass.core.errors import CorruptDataError, NotFoundError
from aimass.core.storage import Store, text_digest

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 1
POSITION_NAME = "position.json"
"""Which rows of a source an output holds, or will hold; stays beside the manifest."""
PARTITIONS = "partitions-"
"""Begins the name of the file that says into which pieces such a position was cut."""
PREVIOUS = "previous"
"""The input by which a link of a chain names the one before it."""

Split = Literal["train", "validation", "test"]


class Column(BaseModel):
    """One column of a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Name of the column.")
    type: str = Field(description="Arrow type, as Arrow spells it (int64, double, string, timestamp[us, tz=UTC] …).")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags such as role or sensitivity.")


class Part(BaseModel):
    """One Parquet file of a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="File name inside the dataset's folder.")
    rows: int = Field(description="Number of rows.")
    bytes: int = Field(description="Size of the file in bytes.")
    sha256: str = Field(description="Digest of the file.")
    split: Split | None = Field(default=None, description="The share of the split that these rows belong to.")
    folder: str = Field(
        default="", description="The output that holds the file, as a path from this dataset's folder; empty: this one."
    )
    is_older: bool = Field(
        default=False, description="Whether the file lacks columns of the dataset, or has them in narrower types."
    )

    def uri(self, folder: str) -> str:
        """Return where the file is, for the dataset in `folder`."""
        scheme, separator, path = f"{folder}/{self.folder}".rpartition("://")
        return f"{scheme}{separator}{posixpath.normpath(path)}/{self.name}"

    def seen_from(self, folder: str, *, owner: str, is_older: bool = False) -> Part:
        """Return the part of the dataset in `owner` as a part of the one in `folder`."""
        there = posixpath.relpath(self.uri(owner).rpartition("/")[0], folder)
        return self.model_copy(update={"folder": there, "is_older": self.is_older or is_older})


class File(BaseModel):
    """One file of an artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Path inside the artifact's folder.")
    bytes: int = Field(description="Size in bytes.")
    sha256: str = Field(description="Digest of the file.")


class InputRef(BaseModel):
    """One dataset or artifact that went into an output."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str = Field(description="The configuration field that named it.")
    uri: str = Field(description="Where it stood.")
    digest: str = Field(description="The digest of its content.")


class Link(BaseModel):
    """Which place an output has among those that follow one another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chain: str = Field(description="Digest of what they have in common.")
    number: int = Field(description="Its number, from 0.")


class Manifest(BaseModel):
    """What a published output is, where it came from and what its stage returned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = Field(default=FORMAT_VERSION, description="Version of this document's format.")
    kind: Literal["dataset", "artifact"] = Field(description="Rows in Parquet parts, or other files.")
    project: str = Field(description="The pipeline that the output belongs to.")
    stage: str = Field(description="The stage that made it.")
    key: str = Field(description="Digest of configuration, inputs and code version: same key, same output.")
    code_version: int = Field(description="Version of the stage's behaviour.")
    config: dict[str, Any] = Field(description="The stage's configuration as it ran.")
    inputs: list[InputRef] = Field(default_factory=list, description="What went in.")
    columns: list[Column] = Field(default_factory=list, description="The schema of a dataset.")
    parts: list[Part] = Field(default_factory=list, description="The Parquet files of a dataset, in order.")
    files: list[File] = Field(default_factory=list, description="The other files, in order of name.")
    position: Any = Field(default=None, description="How far the source had been read.")
    link: Link | None = Field(default=None, description="Its place in a chain of incremental reads.")
    result: dict[str, Any] = Field(default_factory=dict, description="What the stage returned.")
    created_at: str = Field(description="When it was published (ISO 8601, UTC).")

    @property
    def rows(self) -> int:
        """Number of rows over all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def bytes(self) -> int:
        """Size of all parts and files."""
        return sum(part.bytes for part in self.parts) + sum(file.bytes for file in self.files)

    @property
    def digest(self) -> str:
        """Digest of the content alone: equal rows and files have equal digests, wherever they were made."""
        return text_digest(
            {
                "columns": [column.model_dump() for column in self.columns],
                "parts": [[part.sha256, part.rows, part.split] for part in self.parts],
                "files": [[file.name, file.sha256] for file in self.files],
            }
        )

    def column(self, name: str) -> Column | None:
        """Return the column called `name`, or None."""
        return next((column for column in self.columns if column.name == name), None)


def manifest_uri(folder: str) -> str:
    """Return the URI of the manifest of the output in `folder`."""
    return f"{folder.rstrip('/')}/{MANIFEST_NAME}"


def find_manifest(store: Store, folder: str) -> Manifest | None:
    """Return the manifest in `folder`, or None when nothing is published there."""
    uri = manifest_uri(folder)
    if not store.exists(uri):
        return None
    try:
        return Manifest.model_validate(store.read_json(uri))
    except ValidationError as error:
        raise CorruptDataError(f"{uri} is not a manifest: {error.errors()[0]['msg']}", uri=uri) from error


def load_manifest(store: Store, folder: str) -> Manifest:
    """Return the manifest in `folder`.

    Raises
    ------
    NotFoundError
        Nothing is published there; what has no manifest does not exist.
    """
    found = find_manifest(store, folder)
    if found is None:
        raise NotFoundError(
            f"Nothing is published at {folder}", expected=f"a folder with a {MANIFEST_NAME}", uri=folder
        )
    return found


def publish_manifest(store: Store, folder: str, manifest: Manifest, *, replace: bool = False) -> Manifest:
    """Make the output in `folder` visible; when another attempt was first, its manifest stands and is returned.

    With `replace`, the manifest that stands is replaced in one act.
    """
    data = _document(manifest).encode()
    if replace:
        store.publish(manifest_uri(folder), data)
        return manifest
    if store.publish_once(manifest_uri(folder), data):
        return manifest
    return load_manifest(store, folder)


def _document(manifest: Manifest) -> str:
    """Return the JSON text of a manifest, a position of many files in one line: those take ten times as long."""
    fields = manifest.model_dump(mode="json")
    texts = (
        f'"{name}": {json.dumps(value, indent=None if name == "position" else 1, ensure_ascii=False)}'
        for name, value in fields.items()
    )
    return "{\n" + ",\n".join(texts) + "\n}"
