"""The ingest stage's outputs, if incremental: links of a chain, each with what is new since the one before it."""

from __future__ import annotations

import logging
from typing import Any

from pydantic import ValidationError

from aimass.core.deps import Deps
from aimass.core.errors import EmptyDataError, TerminalError
from aimass.core.manifest import find_manifest
from aimass.core.stages.base import Stage, Target
from aimass.core.stages.chain import Chain, Pin, chain_key
from aimass.core.stages.ingest_config import IngestConfig, IngestResult, open_source
from aimass.core.storage import text_digest

log = logging.getLogger(__name__)


def chain_of(config: IngestConfig, deps: Deps) -> Chain:
    """Return the chain of the incremental reads of one source under one name.

    Neither the rules for changed columns nor the code's version belong to it: whoever accepts a new column goes on
    where the reads stand, and so does whoever installs a new version. Nor do the types of single columns: what they
    change is judged by those rules.
    """
    return Chain(deps, "ingest", chain_key("ingest", _identity(config)))


def _identity(config: IngestConfig) -> dict[str, Any]:
    source = {name: value for name, value in config.source_document().items() if name != "types"}
    return {"name": config.name, "source": source, "keep": config.keep}


def current_position(config: IngestConfig, deps: Deps) -> Any:
    """Return which rows a read that is not incremental has: the same for all attempts of a run."""
    if config.partition is not None:
        return config.partition
    # The settings are part of the name: a run id that is used again with another source must not see the old one.
    name = f"ingest-{config.name}-{text_digest(config.source)[:12]}"
    return deps.pin(name, open_source(config, deps).position)


class IngestStage(Stage[IngestConfig, IngestResult]):
    """A stage whose output's place depends on the mode: its position's key, or the next link of its chain."""

    def target(self, config: IngestConfig, deps: Deps, *, finish_others: bool = True) -> Target:
        """Return what this run publishes, or has published; what it reads is pinned by now.

        Parameters
        ----------
        config : IngestConfig
            The configuration.
        deps : Deps
            The surroundings.
        finish_others : bool
            Whether to finish what an earlier run has begun, and go on to what has come since; otherwise that is what
            this run publishes.
        """
        if not config.is_chained:
            position = current_position(config, deps)
            key = self._key(config, [], position)
            return Target(key, self.folder(key, deps), position)
        chain = chain_of(config, deps)

        def choose() -> int:
            return self._choose(config, deps, chain, finish_others=finish_others and config.keep == "all")

        number = int(deps.pin(f"ingest-{config.name}-{chain.key[:12]}", choose))
        target = chain.reachable(number)
        # What this run had chosen may be gone by now: garbage collection took it, or its rows could not be read.
        return target if target is not None else chain.must_reach(choose())

    def _run(self, config: IngestConfig, deps: Deps) -> IngestResult:
        return self._link(config, deps, self.target(config, deps))

    def _link(self, config: IngestConfig, deps: Deps, target: Target) -> IngestResult:
        """Publish `target` unless it stands; of a chain, note that it is the last one."""
        if target.link is None:
            return self._make(config, deps, target)
        chain = chain_of(config, deps)
        try:
            result = self._make(config, deps, target)
        except TerminalError:
            # The same rows can only fail again: let the next run look anew.
            chain.unpin(target.link.number)
            raise
        chain.note(target.link.number)
        # How much is too much is no part of a link's key, so it is asked anew.
        return result.model_copy(update={"max_reject_share": config.max_reject_share})

    def _choose(self, config: IngestConfig, deps: Deps, chain: Chain, *, finish_others: bool) -> int:
        """Return the number of the link that this run publishes, its position pinned; the last one if nothing is new.

        A link that an earlier run has pinned is finished first. Its rows are those of that run's time, so another
        link with what has come since may follow it, and that is this run's. Where only the new rows are wanted, the
        unfinished link is this run's, lest its rows reach nobody.
        """
        head = chain.head()
        while not self._is_refused(config, chain, head):
            begun = chain.pinned(head + 1) or self._begin(config, deps, chain, head)
            if begun is None:
                break
            head += 1
            if begun.run == deps.runtime.run_id or not finish_others:
                break
            # What follows was pinned after this run began: there is nothing newer to wait for.
            finish_others = False
            self._link(config, deps, chain.must_reach(head))
        return head

    def _begin(self, config: IngestConfig, deps: Deps, chain: Chain, head: int) -> Pin | None:
        """Pin the position of the link after `head`, unless nothing is new."""
        source = open_source(config, deps)
        last = chain.manifest(head)
        position = source.position() if last is None else source.position(last.position)
        if last is None:
            if position is None:
                raise EmptyDataError("The source has no rows", expected="at least one row")
            _tell_of_others(config, chain)
            # A source that cannot tell what is new shall say so before anything is read.
            source.position(position)
        return None if position is None else chain.pin(head + 1, position)

    def _is_refused(self, config: IngestConfig, chain: Chain, number: int) -> bool:
        """Return whether too many rows of a link were kept aside: nothing follows it until somebody allows more."""
        manifest = chain.manifest(number)
        if manifest is None:
            return False
        result = IngestResult.model_validate({**manifest.result, "max_reject_share": config.max_reject_share})
        return result.has_too_many_rejects


def _tell_of_others(config: IngestConfig, chain: Chain) -> None:
    """Warn where reads of this name were made with other settings: none of them is gone on with."""
    mine = _identity(config)
    for other in chain.others():
        if other.config.get("name") != config.name:
            continue
        try:
            theirs = _identity(IngestConfig.model_validate(other.config))
        except ValidationError:
            # Another version wrote it.
            continue
        both = {**theirs["source"], "keep": theirs["keep"]}, {**mine["source"], "keep": mine["keep"]}
        names = sorted(name for name in both[0].keys() | both[1].keys() if both[0].get(name) != both[1].get(name))
        log.warning(
            "Earlier reads of %r (%s rows) had other settings: %s. This one begins anew, with all rows; to go on "
            "there, set them as they were.",
            config.name, f"{other.rows:,}", ", ".join(names),
        )  # fmt: skip


def stands(target: Target, deps: Deps) -> bool:
    """Return whether `target` is published."""
    return find_manifest(deps.store, target.uri) is not None
