"""The notifier: what a DAG, a task or an approval calls when something happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier
from airflow.sdk._shared.secrets_masker import redact
from asgiref.sync import sync_to_async

from aimass.core.deps import utc_now
from aimass.core.errors import AimassError
from aimass.core.storage import Store
from aimass.hooks.runtime import store_of
from aimass.notifications.base import Kind, Notice
from aimass.notifications.delivery import Delivery
from aimass.notifications.facts import AirflowRun, identify, notice_of
from aimass.notifications.outbox import Outbox, Waiting
from aimass.notifications.words import put_into_words

if TYPE_CHECKING:
    from airflow.sdk import Context


class NoticeNotifier(BaseNotifier):
    """Tell people through one or more channels, and never fail what it tells about.

    Parameters
    ----------
    kind : str
        ``success``, ``failure`` or ``approval``; a failure that is a refusal of the gate is told as ``refusal``.
    channels : sequence of mapping
        As a pipeline's ``notify:``: ``[{"type": "smtp", "to": [...], "on": [...], "repeat_hours": 4}]``.
    store_conn_id : str
        Store that remembers what was sent.
    **kwargs
        See `airflow.sdk.BaseNotifier`.

    Examples
    --------
    >>> mail = [{"type": "smtp", "to": ["team@example.org"]}]
    >>> NoticeNotifier(kind="failure", channels=mail).kind
    'failure'
    """

    def __init__(
        self, *, kind: Kind, channels: Sequence[Mapping[str, Any]], store_conn_id: str = "aimass_store", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.channels = channels
        self.store_conn_id = store_conn_id

    def notify(self, context: Context) -> None:
        """Tell every channel; what goes wrong is logged, and sent with the next notice."""
        try:
            notice = self._notice(context)
            store = self._store()
        except Exception as error:  # noqa: BLE001 - a notice must never fail the run that it is about
            self.log.warning("No notice was sent: %s: %s", type(error).__name__, error)
            return
        for document in self.channels:
            try:
                self._tell(Delivery(document), notice, store)
            except Exception as error:  # noqa: BLE001 - idem; one broken channel must not silence the others
                self.log.warning("The channel %s failed: %s: %s", document.get("type"), type(error).__name__, error)

    async def async_notify(self, context: Context) -> None:
        """Tell every channel from within an event loop, such as the triggerer's."""
        await sync_to_async(self.notify)(context)

    def _notice(self, context: Context) -> Notice:
        found: Mapping[str, Any] = dict(context)
        dag_id, run_id = identify(found)
        task_ids = getattr(found.get("dag"), "task_ids", ())
        notice = notice_of(found, self.kind, AirflowRun(dag_id, run_id, task_ids))
        # Whatever Airflow knows to be secret leaves as asterisks.
        return Notice.model_validate(redact(notice.model_dump(mode="json")))

    def _store(self) -> Store:
        settings = store_of(self.store_conn_id)
        return Store(settings.root, options=settings.options)

    def _tell(self, delivery: Delivery, notice: Notice, store: Store) -> None:
        outbox = Outbox(store, delivery.identity, delivery.settings, utc_now)
        try:
            due = outbox.put(notice)
        except AimassError as error:
            self.log.warning("The store does not remember what was sent, so this may be told again: %s", error)
            if notice.kind in delivery.settings.on:
                delivery.channel.send(put_into_words(notice, delivery.settings))
            return
        if not due:
            self.log.info("Nothing to send to %s now: %s", delivery.identity, notice.kind)
        for message in due:
            self._send(delivery, outbox, message)

    def _send(self, delivery: Delivery, outbox: Outbox, message: Waiting) -> None:
        try:
            delivery.channel.send(put_into_words(message.notice, delivery.settings))
        except Exception as error:  # noqa: BLE001 - a channel that is down is no failure of the run
            self.log.warning(
                "%s did not take the notice of %s; the next notice tries it again: %s: %s",
                delivery.identity, message.notice.run_id, type(error).__name__, error,
            )  # fmt: skip
            outbox.failed(message)
            return
        outbox.sent(message)
        self.log.info("%s was told: %s, %s", delivery.identity, message.notice.kind, message.notice.run_id)
