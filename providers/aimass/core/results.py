"""What every published output says of itself; the stages' results add to it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class StageResult(BaseModel):
    """Base of the stages' results: small and JSON-able, never rows or weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str = Field(default="", description="Folder of the published output.")
    digest: str = Field(default="", description="Digest of the output's content.")
    reused: bool = Field(default=False, description="Whether an earlier run had published the same output.")
