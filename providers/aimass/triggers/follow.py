"""Follow mode: an asset whose event says that a source has new data, so that a DAG starts with each batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from aimass.core.errors import AimassError, NotFoundError, TransientError
from aimass.core.storage import text_digest
from aimass.triggers.new_data import NewData, News, Told

DEFAULT_POLL_S = 30.0


class NewDataTrigger(BaseEventTrigger):
    """Tell, again and again, that a source has rows which no dataset of its chain has.

    What was told once is not told again, neither while the pipeline works on it nor after the triggerer was started
    anew; what came since is. A source that cannot be read is told in the triggerer's log and asked again.

    Parameters
    ----------
    config : mapping
        The configuration of the incremental ingest; see `aimass.operators.ingest.IngestOperator`.
    project : str
        The pipeline whose chain it is: the one that ingests.
    store_conn_id : str
        Connection of type ``aimass_store``.
    poll_s : float
        Time between two looks.

    Notes
    -----
    The event's payload: ``name``, ``project``, ``chain``, ``number`` (which piece of the chain the rows will be),
    ``rows`` (about how many; null where the source cannot say) and the ``position``. Told at least once: a triggerer
    that is killed within `poll_s` of telling tells again, and the ingest then finds nothing new.

    Examples
    --------
    ::

        orders = {"name": "orders", "source": {"type": "kafka", "topics": ["orders"]}, "mode": "incremental"}
        arrived = Asset(
            "orders_arrived",
            watchers=[AssetWatcher(name="orders", trigger=NewDataTrigger(config=orders, project="shop"))],
        )
        with DAG("shop", schedule=[arrived]):
            IngestOperator(task_id="ingest", config=orders, project="shop")
    """

    def __init__(
        self,
        *,
        config: Mapping[str, Any],
        project: str = "default",
        store_conn_id: str = "aimass_store",
        poll_s: float = DEFAULT_POLL_S,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow's own
        self.config = dict(config)
        self.project = project
        self.store_conn_id = store_conn_id
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow keeps: no address and no secret."""
        fields = ("config", "project", "store_conn_id", "poll_s")
        return "aimass.triggers.follow.NewDataTrigger", {name: getattr(self, name) for name in fields}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until Airflow ends it."""
        # A thread of its own for each look: a server that hangs holds up nobody else's.
        look = sync_to_async(self._look, thread_sensitive=False)
        while True:
            found = await look()
            if found is not None:
                name = str(self.config.get("name"))
                payload = await sync_to_async(found.facts, thread_sensitive=False)(name)
                yield TriggerEvent(payload)  # type: ignore[no-untyped-call] # Airflow's own
            await asyncio.sleep(self.poll_s)
            if found is not None:
                # Only now: what a killed triggerer could not hand on any more is told again.
                await sync_to_async(self._told(found).note, thread_sensitive=False)()

    def _look(self) -> News | None:
        try:
            settings = {"config": self.config, "project": self.project, "store_conn_id": self.store_conn_id}
            found = NewData.model_validate(settings).news()
            return found if self._told(found).is_news() else None
        except (NotFoundError, TransientError) as error:
            self.log.info("Nothing can be seen now: %s", error)
        except AimassError as error:
            self.log.error("This cannot be followed as it is described, and is tried again: %s", error)
        return None

    def _told(self, found: News) -> Told:
        return Told(found, text_digest([self.store_conn_id, self.poll_s])[:8])
