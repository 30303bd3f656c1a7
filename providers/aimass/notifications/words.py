"""From a notice to a message, by Jinja templates in the reader's language."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from importlib import resources
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from aimass.core.catalogs import catalog
from aimass.core.texts import Text, speaking
from aimass.notifications.base import Message, Notice
from aimass.notifications.delivery import DeliverySettings

PACKAGE = "aimass.notifications"
SUBJECT_CHARACTERS = 200

_log = logging.getLogger(__name__)


def put_into_words(notice: Notice, settings: DeliverySettings) -> Message:
    """Return `notice` as a message; a template of the user's that fails gives way to ours.

    Values are escaped in HTML. Neither a subject nor a value can break a line where a header would end.
    """
    translate = catalog(settings.language, PACKAGE).gettext
    with speaking(settings.language):
        values = {**notice.model_dump(), "lines": [_line(line, translate) for line in notice.lines]}
    subject = _render("subject.txt", settings.templates.subject, values, settings.language)
    values["subject"] = " ".join("".join(char if char.isprintable() else " " for char in subject).split())
    values["subject"] = values["subject"][:SUBJECT_CHARACTERS]
    return Message(
        kind=notice.kind,
        subject=values["subject"],
        text=_render("body.txt", settings.templates.text, values, settings.language).strip() + "\n",
        html=_render("body.html", settings.templates.html, values, settings.language),
    )


def _line(line: Text, translate: Callable[[str], str]) -> str:
    """Return a fact in the language that is spoken; what the engine says is in its own catalog."""
    pattern = translate(line.message)
    return str(line) if pattern == line.message else pattern.format(**line.values)


def check_template(source: str) -> str:
    """Return what is wrong with a template, or nothing."""
    example = Notice(kind="success", dag_id="aimass_x", pipeline="x", run_id="manual__1", when="2026-01-01T00:00:00Z")
    try:
        _environment("en", False).from_string(source).render(**example.model_dump(), subject="")
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
        return f"is no template that works: {error}"
    return ""


def _render(name: str, own: str | None, values: dict[str, Any], language: str) -> str:
    environment = _environment(language, name.endswith(".html"))
    if own is not None:
        try:
            return environment.from_string(own).render(values)
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
            # A message in other words is better than none.
            _log.warning("The notice's own template for %s failed, ours takes its place: %s", name, error)
    return environment.get_template(name).render(values)


@functools.cache
def _environment(language: str, is_html: bool) -> jinja2.Environment:
    # A sandbox: templates come out of YAML files, and need nothing but the notice.
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=is_html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(catalog(language, PACKAGE), newstyle=True)  # type: ignore[attr-defined]
    return environment


def _source(name: str) -> str:
    return (resources.files(PACKAGE) / "templates" / name).read_text(encoding="utf-8")
