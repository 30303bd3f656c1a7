"""A chain: outputs that follow one another, each with the next piece of a source that grows.

Number n of a chain has a key of its own, so its folder is known before anything is read. Whoever comes first pins in
that folder which rows it will hold; everybody who comes later, after a crash or at the same time, reads those very
rows. The manifest, which holds data and position, is published once: then, and only then, the chain is one longer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from aimass.core.deps import Deps
from aimass.core.errors import CorruptDataError, TransientError
from aimass.core.manifest import POSITION_NAME, PREVIOUS, InputRef, Link, Manifest, find_manifest, manifest_uri
from aimass.core.stages.base import KEY_DIGITS, Target
from aimass.core.storage import text_digest

CHAINS = "chains"


class Pin(BaseModel):
    """Which rows a link will hold, and which run said so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: Any = Field(description="The source's position.")
    run: str = Field(description="The run that pinned it.")


def chain_key(stage: str, identity: Any) -> str:
    """Return the key of the outputs of `stage` that have `identity`, JSON-able, in common.

    Another identity is another chain, which begins at its source's beginning.
    """
    return text_digest({"chain": identity, "stage": stage})


class Chain:
    """The outputs of one stage that belong together.

    Parameters
    ----------
    deps : Deps
        Whose store they are in.
    stage : str
        The stage that makes them.
    key : str
        What `chain_key` says, or the `link` of a manifest.
    project : str, optional
        The project they are in; that of `deps` when left out.
    """

    def __init__(self, deps: Deps, stage: str, key: str, *, project: str | None = None) -> None:
        self.key = key
        self._deps = deps
        self._stage = stage
        self._project = project or deps.project

    def folder(self, number: int) -> str:
        """Return where link `number` is, or will be."""
        return self._deps.store.folder(self._project, self._stage, self._key(number)[:KEY_DIGITS])

    def manifest(self, number: int) -> Manifest | None:
        """Return the manifest of link `number`, or None where it is not published."""
        return find_manifest(self._deps.store, self.folder(number)) if number >= 0 else None

    def head(self) -> int:
        """Return the number of the last published link; -1 where there is none.

        It is looked for upwards from the noted one, and among all outputs of the stage where that note is lost or
        garbage collection took what it names. So a wrong note costs time and nothing else.
        """
        head = self._noted()
        if head < 0 or not self._is_published(head):
            head = self._search()
        while self._is_published(head + 1):
            head += 1
        return head

    def others(self) -> list[Manifest]:
        """Return the last links of the stage's other chains."""
        last: dict[str, tuple[Link, Manifest]] = {}
        for link, manifest in self._links():
            if link.chain != self.key and (link.chain not in last or last[link.chain][0].number < link.number):
                last[link.chain] = link, manifest
        return [manifest for _, manifest in last.values()]

    def note(self, number: int) -> None:
        """Leave a note for `head` that link `number` is published."""
        if number != self._noted():
            self._deps.store.publish(self._note_uri, json.dumps({"head": number}).encode())

    def pin(self, number: int, position: Any) -> Pin:
        """Pin which rows link `number` holds, unless that is settled; return what is."""
        pin = Pin(position=position, run=self._deps.runtime.run_id)
        self._deps.store.publish_once(self._pin_uri(number), pin.model_dump_json().encode())
        found = self.pinned(number)
        self._deps.failpoints.hit("position_pinned")
        return found or pin

    def pinned(self, number: int) -> Pin | None:
        """Return which rows link `number` holds, or None while that is not settled."""
        uri = self._pin_uri(number)
        return Pin.model_validate(self._deps.store.read_json(uri)) if self._deps.store.exists(uri) else None

    def unpin(self, number: int) -> None:
        """Forget which rows link `number` was to hold; whoever is reading them may still publish them."""
        self._deps.store.delete(self._pin_uri(number))

    def reachable(self, number: int) -> Target | None:
        """Return link `number` if it is published, or pinned and the next one; None otherwise."""
        standing = self.manifest(number)
        if standing is not None:
            return self._target(number, standing.position)
        pin = self.pinned(number) if number == 0 or self._is_published(number - 1) else None
        return self._target(number, pin.position) if pin is not None else None

    def must_reach(self, number: int) -> Target:
        """Return link `number`; raises TransientError where it is gone in this moment."""
        target = self.reachable(number)
        if target is None:
            raise TransientError(f"Link {number} of the chain was taken away while this run looked at it")
        return target

    def _target(self, number: int, position: Any) -> Target:
        before, folder = self.manifest(number - 1), self.folder(number - 1)
        return Target(
            key=self._key(number),
            uri=self.folder(number),
            position=position,
            inputs=[InputRef(field=PREVIOUS, uri=folder, digest=before.digest)] if before else [],
            link=Link(chain=self.key, number=number),
            previous=(folder, before) if before else None,
        )

    def _key(self, number: int) -> str:
        return text_digest({"chain": self.key, "number": number})

    def _is_published(self, number: int) -> bool:
        return self._deps.store.exists(manifest_uri(self.folder(number)))

    def _pin_uri(self, number: int) -> str:
        return f"{self.folder(number)}/{POSITION_NAME}"

    @property
    def _note_uri(self) -> str:
        return self._deps.store.folder(self._project, CHAINS, f"{self.key[:KEY_DIGITS]}.json")

    def _noted(self) -> int:
        try:
            return int(self._deps.store.read_json(self._note_uri)["head"]) if self._has_note() else -1
        except (CorruptDataError, KeyError, TypeError, ValueError):
            return -1

    def _has_note(self) -> bool:
        return self._deps.store.exists(self._note_uri)

    def _search(self) -> int:
        """Return the highest number among all outputs of the stage that belong to this chain; -1 without one."""
        return max((link.number for link, _ in self._links() if link.chain == self.key), default=-1)

    def _links(self) -> Iterator[tuple[Link, Manifest]]:
        """Yield the links of all chains of the stage."""
        root = self._deps.store.folder(self._project, self._stage)
        for name in self._deps.store.list(root):
            found = find_manifest(self._deps.store, f"{root}/{name}")
            if found is not None and found.link is not None:
                yield found.link, found
