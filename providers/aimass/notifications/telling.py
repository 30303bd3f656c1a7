"""Telling a notice through channels: once, bounded, and never failing what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk._shared.secrets_masker import redact

from aimass.core.deps import utc_now
from aimass.core.errors import AimassError
from aimass.core.storage import Store
from aimass.hooks.runtime import open_store
from aimass.notifications.base import Notice
from aimass.notifications.delivery import Delivery
from aimass.notifications.outbox import Outbox, Waiting
from aimass.notifications.words import put_into_words

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


def tell(notice: Notice, channels: Sequence[Mapping[str, Any]], *, store_conn_id: str, log: Logger) -> None:
    """Tell every channel; what goes wrong is logged, and sent with the next notice.

    Parameters
    ----------
    notice : Notice
        What is told; whatever Airflow knows to be secret leaves as asterisks.
    channels : sequence of mapping
        As a pipeline's ``notify:``.
    store_conn_id : str
        Store that remembers what was sent.
    log : Logger
        Told how it went.
    """
    try:
        redacted = Notice.model_validate(redact(notice.model_dump(mode="json")))
        store = open_store(store_conn_id)
    except Exception as error:  # noqa: BLE001 - a notice must never fail the run that it is about
        log.warning("No notice was sent: %s: %s", type(error).__name__, error)
        return
    for document in channels:
        try:
            _tell(Delivery(document), redacted, store, log)
        except Exception as error:  # noqa: BLE001 - idem; one broken channel must not silence the others
            log.warning("The channel %s failed: %s: %s", document.get("type"), type(error).__name__, error)


def _tell(delivery: Delivery, notice: Notice, store: Store, log: Logger) -> None:
    outbox = Outbox(store, delivery.identity, delivery.settings, utc_now)
    try:
        due = outbox.put(notice)
    except AimassError as error:
        log.warning("The store does not remember what was sent, so this may be told again: %s", error)
        if delivery.settings.wants(notice):
            delivery.channel.send(put_into_words(notice, delivery.settings))
        return
    if not due:
        log.info("Nothing to send to %s now: %s", delivery.identity, notice.kind)
    for message in due:
        _send(delivery, outbox, message, log)


def _send(delivery: Delivery, outbox: Outbox, message: Waiting, log: Logger) -> None:
    try:
        delivery.channel.send(put_into_words(message.notice, delivery.settings))
    except Exception as error:  # noqa: BLE001 - a channel that is down is no failure of the run
        log.warning(
            "%s did not take the notice of %s; the next notice tries it again: %s: %s",
            delivery.identity, message.notice.run_id, type(error).__name__, error,
        )  # fmt: skip
        outbox.failed(message)
        return
    outbox.sent(message)
    log.info("%s was told: %s, %s", delivery.identity, message.notice.kind, message.notice.run_id)
