"""Fill a report's template, once for each language: everything inline, every value escaped."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Protocol

import jinja2

from aimass.core.texts import LANGUAGES, say, speaking, spoken, translate, translate_count

MAX_CELL_CHARACTERS = 80
UNITS = ("B", "KB", "MB", "GB", "TB")
MISSING = "–"
PART_NAMES = {"train": say("training"), "validation": say("validation"), "test": say("test")}
"""What the shares of the split are called."""


class Folder(Protocol):
    """Where a report is written: a stage's output."""

    def write_file(self, name: str, data: str) -> str:
        """Write a file; return its URI."""


def write_report(folder: Folder, make: Callable[[], str]) -> str:
    """Write what `make` draws, in each language; return the URI of the English page.

    Parameters
    ----------
    folder : Folder
        The stage's output.
    make : callable
        Returns a page in the language that is spoken when it is called.
    """
    uris = []
    for language in LANGUAGES:
        with speaking(language):
            uris.append(folder.write_file(report_name(language), make()))
    return uris[0]


def report_name(language: str = "en") -> str:
    """Return the file name of a stage's report in `language`."""
    return "report.html" if language == "en" else f"report.{language}.html"


def render(template: str, **context: Any) -> str:
    """Return the HTML page that `template` makes of `context`.

    Parameters
    ----------
    template : str
        File name in ``reports/templates/``.
    **context
        ``title`` and whatever the template asks for; a name that it asks for in vain is an error.

    Raises
    ------
    jinja2.UndefinedError
        The template uses a name that `context` lacks.
    """
    return _environment().get_template(template).render(**context)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("aimass.core.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(translate, translate_count, newstyle=True)  # type: ignore[attr-defined]
    environment.filters.update(number=number, percent=percent, size=size, short=short)
    environment.globals.update(spoken=spoken, languages=LANGUAGES, report_name=report_name)
    return environment


def number(value: Any, digits: int = 4) -> str:
    """Return a figure as people read it: whole numbers with separators, others with `digits` significant ones."""
    if value is None or isinstance(value, str):
        return short(value) if value else MISSING
    if isinstance(value, bool):
        return str(value).lower()
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, MISSING)
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e15):
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e7:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.{digits - 1}e}"


def percent(value: float | None) -> str:
    """Return a share as a percentage; what is neither nothing nor all never reads 0 % or 100 %."""
    if value is None or not math.isfinite(value):
        return MISSING
    if 0 < value < 0.001:
        return "< 0.1 %"
    if 0.999 < value < 1:
        return "> 99.9 %"
    return f"{value * 100:.0f} %" if value in (0, 1) else f"{value * 100:.1f} %"


def size(value: float | None) -> str:
    """Return a number of bytes with its unit."""
    if value is None:
        return MISSING
    power = min(len(UNITS) - 1, int(math.log(value, 1024))) if value >= 1 else 0
    return f"{value / 1024**power:,.4g} {UNITS[power]}"


def short(value: Any, characters: int = MAX_CELL_CHARACTERS) -> str:
    """Return `value` as text of at most `characters`, the cut shown and the true length said."""
    text = MISSING if value is None else str(value)
    if len(text) <= characters:
        return text
    return str(say("{start}… ({length:,} characters)", start=text[: characters - 1], length=len(text)))
