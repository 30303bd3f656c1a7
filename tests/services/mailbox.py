"""A mail server that keeps what it receives."""

from __future__ import annotations

import contextlib
import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from tests.services.server import free_port


class Mailbox:
    """The letters, oldest first, and to whom each was sent.

    Parameters
    ----------
    port : int
        Where the server listens on the loopback address.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.letters: list[EmailMessage] = []
        self.recipients: list[list[str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep a letter."""
        self.letters.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"


@contextlib.contextmanager
def received_letters() -> Iterator[Mailbox]:
    """Run a server until the block ends; yield what it keeps."""
    # The controller connects to itself by the number that it is given, so a port must be found before.
    box = Mailbox(free_port())
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
