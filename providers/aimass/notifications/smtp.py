"""E-mail, by a connection of Airflow's type ``smtp``."""

from __future__ import annotations

from typing import ClassVar

from airflow.providers.smtp.hooks.smtp import SmtpHook
from pydantic import Field

from aimass.core import settings
from aimass.notifications.base import Message


class SmtpSettings(settings.Settings):
    """To whom, and by which server."""

    to: list[str] = Field(min_length=1, description="Addresses of the recipients.")
    sender: str | None = Field(default=None, description="Address of the sender; the connection's from_email if empty.")
    conn_id: str = Field(default="smtp_default", description="Connection of type smtp.")


class SmtpChannel:
    """Sends one HTML message to all recipients."""

    Settings: ClassVar[type[settings.Settings]] = SmtpSettings

    def __init__(self, settings: SmtpSettings) -> None:
        self.settings = settings

    def send(self, message: Message) -> None:
        """Send `message`."""
        with SmtpHook(self.settings.conn_id) as hook:
            hook.send_email_smtp(
                to=self.settings.to,
                from_email=self.settings.sender,
                subject=message.subject,
                html_content=message.html,
                # Out-of-office answers would only answer a machine.
                custom_headers={"Auto-Submitted": "auto-generated"},
            )
