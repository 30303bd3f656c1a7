"""One entry of ``notify:``: a channel, what is told through it, how often and in which words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from aimass.core.backends import backend_of
from aimass.core.errors import ConfigError
from aimass.core.settings import Settings, parse_settings
from aimass.core.storage import text_digest
from aimass.notifications import CHANNELS
from aimass.notifications.base import KINDS, Channel, Kind, Notice

GroupKey = Literal["pipeline", "kind", "task", "error"]


class Templates(Settings):
    """Jinja templates in place of ours; the variables are the fields of a notice."""

    subject: str | None = Field(default=None, description="One line.")
    text: str | None = Field(default=None, description="The body as plain text.")
    html: str | None = Field(default=None, description="The body as HTML; every value is escaped.")


class DeliverySettings(Settings):
    """What every channel has; the channel's own settings stand beside these."""

    on: list[Kind] = Field(default=list(KINDS), min_length=1, description="What is told.")
    min_level: int = Field(
        default=1, ge=1, le=4, description="Alerts below this level are not told: 1 information … 4 critical."
    )
    repeat_hours: float = Field(
        default=4,
        ge=0,
        description="For so long, messages like one that was sent are held back and counted; 0: never.",
    )
    group_by: list[GroupKey] = Field(
        default=["pipeline", "kind", "task", "error"], description="What makes messages alike."
    )
    language: Literal["en", "zh"] = Field(default="en", description="The language of our templates.")
    templates: Templates = Field(default=Templates(), description="Templates in place of ours: {subject, text, html}.")

    def wants(self, notice: Notice) -> bool:
        """Return whether `notice` is told through this channel."""
        return notice.kind in self.on and (notice.level == 0 or notice.level >= self.min_level)


class Delivery:
    """An entry of ``notify:``, checked.

    Parameters
    ----------
    document : mapping
        ``{type: smtp, to: [...], on: [failure], …}``.

    Raises
    ------
    ConfigError
        A key is unknown, missing or has an impossible value, or a template cannot be read.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        common = {name: value for name, value in document.items() if name in DeliverySettings.model_fields}
        own = {name: value for name, value in document.items() if name not in common}
        self.settings = parse_settings(DeliverySettings, common, where="the notice")
        backend, settings = backend_of(CHANNELS, own)
        self.channel: Channel = backend(settings)
        self.type: str = own["type"]
        # Other recipients are another channel: what one of them was told, the others were not.
        self.identity = f"{self.type}-{text_digest(settings.model_dump(mode='json'))[:12]}"
        self._check_templates()

    def _check_templates(self) -> None:
        from aimass.notifications.words import check_template

        for name, source in self.settings.templates:
            if source is not None and (wrong := check_template(source)):
                raise ConfigError(f"In the notice: templates.{name}: {wrong}", mistakes=[(f"templates.{name}", wrong)])
