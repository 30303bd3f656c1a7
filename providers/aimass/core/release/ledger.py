"""The ledger: which alias was moved from which version to which, by whom, when and why.

One file per entry, created once and never changed, each with the digest of the one before it: what was written stays,
a crash leaves whole entries only, and a removed or altered entry is noticed. An entry is written before the alias is
moved; a retry finds it and does not write it again.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from aimass.core.deps import Deps, safe_name
from aimass.core.errors import CorruptDataError
from aimass.core.storage import text_digest


class AliasMove(BaseModel):
    """One entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alias: str = Field(description="The alias that moved.")
    old_version: str | None = Field(description="The version that it left; None where the alias was new.")
    new_version: str = Field(description="The version that it points at now.")
    digest: str = Field(description="sha256 of the new version's model.onnx.")
    who: str = Field(description="The principal who moved it.")
    when: str = Field(description="When (ISO 8601, UTC).")
    why: str = Field(description="The reason, for people.")
    run_id: str = Field(description="The run that moved it.")
    before: str = Field(default="", description="Digest of the entry before this one; empty at the first.")

    def is_move(self, *, new: str, digest: str, standing: str | None) -> bool:
        """Return whether this entry announced the move to `new`, with the alias `standing` before or after it."""
        return (self.new_version, self.digest) == (new, digest) and standing in (self.old_version, new)

    def text(self) -> str:
        """Return the entry as one line for people."""
        came = f"from version {self.old_version} " if self.old_version else ""
        return f"{self.when}: {self.who} moved {self.alias} {came}to version {self.new_version}: {self.why}"


class Ledger:
    """The alias moves of one registered model.

    Parameters
    ----------
    deps : Deps
        Whose store keeps the entries.
    name : str
        Name of the registered model.
    """

    def __init__(self, deps: Deps, name: str) -> None:
        self._deps = deps
        self._folder = deps.store.folder("ledger", safe_name(name))

    def entries(self) -> list[AliasMove]:
        """Return every entry, oldest first.

        Raises
        ------
        CorruptDataError
            An entry is missing, or is not the one that its successor was written after.
        """
        found: list[AliasMove] = []
        before = ""
        while (document := self._entry(len(found))) is not None:
            entry = AliasMove.model_validate(document)
            if entry.before != before:
                raise CorruptDataError(
                    f"Entry {len(found)} of the ledger {self._folder} does not follow the one before it",
                    expected=f"before={before!r}",
                    hint="Somebody changed or removed an entry; restore the folder from a backup",
                )
            before = text_digest(document)
            found.append(entry)
        self._check_no_gap(len(found))
        return found

    def last(self, alias: str) -> AliasMove | None:
        """Return the latest move of `alias`, or None."""
        return next((entry for entry in reversed(self.entries()) if entry.alias == alias), None)

    def record(self, alias: str, *, old: str | None, new: str, digest: str, why: str) -> AliasMove:
        """Write that `alias` moves from version `old`, where it stands, to `new`; return the entry.

        A retry after a crash, before or after the alias moved, gets the entry of the first attempt back.
        """
        while True:
            entries = self.entries()
            latest = next((entry for entry in reversed(entries) if entry.alias == alias), None)
            if latest is not None and latest.is_move(new=new, digest=digest, standing=old):
                return latest
            move = AliasMove(
                alias=alias,
                old_version=old,
                new_version=new,
                digest=digest,
                who=self._deps.principal,
                when=self._deps.clock().isoformat(timespec="seconds"),
                why=why,
                run_id=self._deps.runtime.run_id,
                before=text_digest(entries[-1].model_dump(mode="json")) if entries else "",
            )
            data = json.dumps(move.model_dump(mode="json"), ensure_ascii=False, indent=1).encode()
            if self._deps.store.publish_once(self._uri(len(entries)), data):
                return move

    def _uri(self, index: int) -> str:
        return f"{self._folder}/{index:08d}.json"

    def _entry(self, index: int) -> Any:
        uri = self._uri(index)
        return self._deps.store.read_json(uri) if self._deps.store.exists(uri) else None

    def _check_no_gap(self, count: int) -> None:
        written = [name for name in self._deps.store.list(self._folder) if name.endswith(".json")]
        if len(written) > count:
            raise CorruptDataError(
                f"The ledger {self._folder} has {len(written)} entries, but entry {count} is missing",
                hint="Restore the folder from a backup",
            )
