"""Messages to people: a run succeeded, failed, was refused by the gate, or waits for an approval.

`notifier.NoticeNotifier` is what a DAG uses. A channel is one file, and one line here.
"""

from __future__ import annotations

from aimass.core.registry import Registry
from aimass.notifications.base import Channel

CHANNELS: Registry[type[Channel]] = Registry(
    "channel",
    {
        "smtp": "aimass.notifications.smtp:SmtpChannel",
        "apprise": "aimass.notifications.apprise:AppriseChannel",
    },
)
