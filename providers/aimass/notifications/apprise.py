"""Chats, pagers and a hundred other services, by a connection of Airflow's type ``apprise``."""

from __future__ import annotations

from typing import ClassVar

import apprise
from airflow.providers.apprise.hooks.apprise import AppriseHook
from pydantic import Field

from aimass.core import settings
from aimass.core.errors import ConfigError, UnreachableError
from aimass.notifications.base import Kind, Message

_LOOKS: dict[Kind, apprise.NotifyType] = {
    "success": apprise.NotifyType.SUCCESS,
    "failure": apprise.NotifyType.FAILURE,
    "refusal": apprise.NotifyType.WARNING,
    "approval": apprise.NotifyType.INFO,
}


class AppriseSettings(settings.Settings):
    """Which services; their addresses hold tokens, so they stand in the connection."""

    conn_id: str = Field(default="apprise_default", description="Connection of type apprise.")
    tag: str = Field(default="all", description="Which of the connection's services are told, by their tag.")


class AppriseChannel:
    """Sends one message of plain text to every service with the tag."""

    Settings: ClassVar[type[settings.Settings]] = AppriseSettings

    def __init__(self, settings: AppriseSettings) -> None:
        self.settings = settings

    def send(self, message: Message) -> None:
        """Send `message`.

        Raises
        ------
        ConfigError
            The connection has no service with that tag, or none that Apprise understands.
        UnreachableError
            A service did not take the message.
        """
        # The hook's own `notify` does not tell whether anything was sent.
        hook, services = AppriseHook(self.settings.conn_id), apprise.Apprise()
        hook.set_config_from_conn(hook.get_connection(self.settings.conn_id), services)
        if not any(services.find(self.settings.tag)):
            raise ConfigError(
                f"The connection {self.settings.conn_id!r} names no service with the tag {self.settings.tag!r}",
                expected='a field config such as {"path": "slack://…", "tag": "team"}',
            )
        sent = services.notify(
            body=message.text,
            title=message.subject,
            notify_type=_LOOKS[message.kind],
            body_format=apprise.NotifyFormat.TEXT,
            tag=self.settings.tag,
        )
        if not sent:
            raise UnreachableError(
                f"A service of the connection {self.settings.conn_id!r} did not take the message",
                hint="The log of Apprise, above, says why",
            )
