"""The notifier: what a DAG, a task or an approval calls when something happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier
from asgiref.sync import sync_to_async

from aimass.notifications.base import Kind, Notice
from aimass.notifications.facts import AirflowRun, identify, notice_of
from aimass.notifications.telling import tell

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
        except Exception as error:  # noqa: BLE001 - a notice must never fail the run that it is about
            self.log.warning("No notice was sent: %s: %s", type(error).__name__, error)
            return
        tell(notice, self.channels_of(context), store_conn_id=self.store_conn_id, log=self.log)

    def channels_of(self, context: Context) -> Sequence[Mapping[str, Any]]:
        """Return the channels that are told of what happened in `context`."""
        return self.channels

    async def async_notify(self, context: Context) -> None:
        """Tell every channel from within an event loop, such as the triggerer's."""
        await sync_to_async(self.notify)(context)

    def _notice(self, context: Context) -> Notice:
        found: Mapping[str, Any] = dict(context)
        dag_id, run_id = identify(found)
        task_ids = getattr(found.get("dag"), "task_ids", ())
        return notice_of(found, self.kind, AirflowRun(dag_id, run_id, task_ids))


class ModelNotifier(NoticeNotifier):
    """Tell those who watch the model that a run's conf names.

    Parameters
    ----------
    kind : str
        See `NoticeNotifier`.
    channels_by_model : mapping of str to sequence of mapping
        The channels of every watched model.
    **kwargs
        See `NoticeNotifier`.
    """

    def __init__(
        self, *, kind: Kind, channels_by_model: Mapping[str, Sequence[Mapping[str, Any]]], **kwargs: Any
    ) -> None:
        super().__init__(kind=kind, channels=(), **kwargs)
        self.channels_by_model = channels_by_model

    def channels_of(self, context: Context) -> Sequence[Mapping[str, Any]]:
        """Return the channels of the model; none where nobody watches it."""
        run: Any = context.get("dag_run")
        conf = (run.get("conf") if isinstance(run, Mapping) else getattr(run, "conf", None)) or {}
        return self.channels_by_model.get(str(conf.get("model")), ())
