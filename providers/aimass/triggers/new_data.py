"""Waiting for new data: what a source has beyond the last published piece of its chain.

Where a connection leads, and with which secrets, is asked in the triggerer at each look: what Airflow keeps of a
trigger holds the connection's id alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from aimass.core.errors import NotFoundError
from aimass.core.sources.summary import summarize
from aimass.hooks.connections import connection_documents, connections_of_stage
from aimass.hooks.runtime import build_runtime
from aimass.triggers.base import Condition, Look

if TYPE_CHECKING:
    from aimass.core.deps import Deps
    from aimass.core.sources.base import Source


@dataclass(frozen=True)
class News:
    """What a source has that no dataset of its chain has.

    Attributes
    ----------
    source : Source
        The source.
    deps : Deps
        Its surroundings.
    chain : str
        The chain's key.
    number : int
        Which piece of the chain the new rows will be, from 0.
    position : JSON-able
        Which rows are new; None where there are none.
    """

    source: Source
    deps: Deps
    chain: str
    number: int
    position: Any

    def facts(self, name: str) -> dict[str, Any]:
        """Return what is told of it; JSON-able and short."""
        return {
            "name": name,
            "project": self.deps.project,
            "chain": self.chain[:16],
            "number": self.number,
            "rows": self._rows(),
            "position": summarize(self.position),
        }

    def _rows(self) -> int | None:
        estimate = getattr(self.source, "estimate", None)
        return estimate(self.position) if estimate else None


class NewData(Condition):
    """A source has rows that the last dataset of its chain has not; one that is not there yet is waited for."""

    config: dict[str, Any] = Field(description="The configuration of the incremental ingest; see IngestOperator.")
    project: str = Field(default="default", description="The pipeline whose chain it is.")
    store_conn_id: str = Field(default="aimass_store", description="Connection of the store.")

    def look(self) -> Look:
        """Ask the source for what came after the head of the chain."""
        name = str(self.config.get("name"))
        try:
            found = self.news()
        except NotFoundError as error:
            return Look(False, str(error))
        if found.position is None:
            return Look(False, f"{name} has nothing new after {found.number} pieces")
        facts = found.facts(name)
        rows = "new rows" if facts["rows"] is None else f"about {facts['rows']:,} new rows"
        return Look(True, f"{name} has {rows}", facts)

    def news(self) -> News:
        """Return what is new.

        Raises
        ------
        NotFoundError
            The source is not there, or not yet.
        TransientError
            Its server does not answer.
        TerminalError
            The source cannot be read as it is described.
        """
        from aimass.core.deps import Deps
        from aimass.core.stages import STAGES
        from aimass.core.stages.ingest_chain import chain_of
        from aimass.core.stages.ingest_config import open_source

        document = {**self.config, "mode": "incremental"}
        config = STAGES.load("ingest").parse(document)
        runtime = build_runtime(
            store_conn_id=self.store_conn_id,
            tracking_conn_id="aimass_mlflow",
            project=self.project,
            connections=connection_documents(connections_of_stage("ingest", document)),
        )
        deps = Deps.from_runtime(runtime, purpose="ingest")
        chain = chain_of(config, deps)
        head = chain.head()
        manifest = chain.manifest(head)
        source = open_source(config, deps)
        since = manifest.position if manifest else None
        return News(source, deps, chain.key, head + 1, source.position(since))


class Told:
    """What a watcher told last, kept in the store so that a triggerer that starts again does not tell it again.

    Parameters
    ----------
    news : News
        Whose chain it is.
    watcher : str
        Tells watchers of the same chain apart.
    """

    def __init__(self, news: News, watcher: str) -> None:
        self._news = news
        self._uri = news.deps.store.folder(news.deps.project, "watchers", f"{news.chain[:16]}-{watcher}.json")

    def is_news(self) -> bool:
        """Return whether something came after what was told last, and is in no dataset yet."""
        if self._news.position is None:
            return False
        store = self._news.deps.store
        if not store.exists(self._uri):
            return True
        return self._news.source.position(store.read_json(self._uri)["position"]) is not None

    def note(self) -> None:
        """Note that it was told."""
        self._news.deps.store.publish(self._uri, json.dumps({"position": self._news.position}).encode())
