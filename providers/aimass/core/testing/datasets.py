"""Datasets made of frames, as a stage would have published them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aimass.core.deps import Deps
from aimass.core.manifest import Manifest, Split, publish_manifest
from aimass.core.stages.base import Output, Target
from aimass.core.storage import text_digest

if TYPE_CHECKING:
    import polars as pl


def publish_rows(
    deps: Deps,
    shares: Mapping[Split, pl.DataFrame],
    *,
    tags: dict[str, dict[str, str]] | None = None,
    stage: str = "split",
) -> str:
    """Publish a dataset with these shares of the split; return its URI.

    Parameters
    ----------
    deps : Deps
        Whose store keeps it.
    shares : mapping of str to DataFrame
        Rows of train, validation and test; a share without rows still fixes the schema.
    tags : dict, optional
        ``{column: {tag: value}}``, such as ``{"late": {"role": "target"}}``.
    stage : str
        The stage that is said to have made it.
    """
    key = text_digest({split: frame.hash_rows(seed=0).to_list() for split, frame in shares.items()})
    output = Output(deps, Target(key, deps.store.folder(deps.project, stage, key[:16])))
    writer = output.dataset(tags=tags)
    for split, frame in shares.items():
        writer.write(frame, split=split)
    output.finish()
    manifest = Manifest(
        kind="dataset",
        project=deps.project,
        stage=stage,
        key=key,
        code_version=1,
        config={},
        columns=output.columns,
        parts=output.parts,
        created_at=deps.clock().isoformat(timespec="seconds"),
    )
    publish_manifest(deps.store, output.uri, manifest)
    return output.uri
