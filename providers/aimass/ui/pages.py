"""Fill a page's template: the reader's language and theme, everything escaped, the headers that keep it safe."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from aimass.core.reports import number, percent, short
from aimass.core.reports.page import size
from aimass.core.texts import LANGUAGES
from aimass.links.airflow_pages import quoted
from aimass.links.pages import PREFIX, page_path
from aimass.ui.languages import choose, translations

CHOSEN_COOKIE = "aimass_language"
"""The language that the reader chose here; it outlives the session."""
AIRFLOW_COOKIE = "aimass_airflow_language"
"""The language of Airflow's own pages, told by shell.js."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""A report holds users' data: whatever is in it runs nothing, loads nothing, and has no origin."""


@dataclass(frozen=True)
class Links:
    """Addresses of pages, below whatever path Airflow itself is served at.

    Attributes
    ----------
    root : str
        Path of Airflow, without a slash at its end.
    """

    root: str

    def page(self, *parts: str, **query: object) -> str:
        """Return the address of one of our pages, each part quoted."""
        return self.root + page_path(*parts, **query)

    def airflow(self, *parts: str) -> str:
        """Return the address of one of Airflow's pages."""
        return f"{self.root}/{quoted(*parts)}"

    def shown(self, *parts: str, **query: object) -> str:
        """Return the address at which Airflow shows one of our pages inside its own."""
        return f"{self.root}/plugin/aimass{page_path(*parts, **query)}"

    def static(self, name: str) -> str:
        """Return the address of a style sheet, script or picture."""
        return f"{self.root}{PREFIX}/static/{name}"


def links_of(request: Request) -> Links:
    """Return the addresses as `request` came to us."""
    return Links(str(request.scope.get("root_path", "")).removesuffix(PREFIX))


def language_of(request: Request) -> str:
    """Return the language to answer in: asked for, chosen before, Airflow's, the browser's."""
    cookies = request.cookies
    return choose(
        request.query_params.get("lang"),
        cookies.get(CHOSEN_COOKIE),
        cookies.get(AIRFLOW_COOKIE),
        request.headers.get("accept-language"),
    )


def page(request: Request, template: str, *, place: str = "", status: int = 200, **context: Any) -> HTMLResponse:
    """Return the page that `template` makes of `context`.

    `place` is the entry of the menu that the page belongs to: overview, models, new, or none.

    Every template has, besides: ``links``, ``language``, ``languages``, ``path`` (for the language switch), ``now``.
    """
    language = language_of(request)
    content = (
        _environment(language)
        .get_template(template)
        .render(
            links=links_of(request),
            place=place,
            language=language,
            languages=LANGUAGES,
            switches={code: f"?{_with_language(request, code)}" for code in LANGUAGES},
            now=datetime.now(UTC),
            **context,
        )
    )
    response = HTMLResponse(content, status_code=status, headers=safe_headers(PAGE_POLICY))
    if request.query_params.get("lang") in LANGUAGES:
        path = links_of(request).root + PREFIX
        response.set_cookie(CHOSEN_COOKIE, language, path=path, max_age=31_536_000, samesite="lax", httponly=True)
    return response


def safe_headers(policy: str) -> dict[str, str]:
    """Return the headers of a page that shows users' data."""
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "private, no-store",
    }


def _with_language(request: Request, code: str) -> str:
    return urlencode([*((k, v) for k, v in request.query_params.multi_items() if k != "lang"), ("lang", code)])


@functools.cache
def _environment(language: str) -> jinja2.Environment:
    environment = jinja2.Environment(
        # Reports and pages share their look and their macros.
        loader=jinja2.ChoiceLoader(
            [
                jinja2.PackageLoader("aimass.ui"),
                jinja2.PrefixLoader({"reports": jinja2.PackageLoader("aimass.core.reports")}),
            ]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    catalog = translations(language)
    environment.install_gettext_translations(catalog, newstyle=True)  # type: ignore[attr-defined] # the extension's
    environment.filters.update(
        number=number, percent=percent, size=size, short=short, when=_when, lasting=_lasting, ago=_ago,
        # What a DAG says about itself: unlike with `_`, it stays text that is escaped.
        translated=lambda text: catalog.gettext(text) if text else "",
    )  # fmt: skip
    return environment


def _when(moment: datetime | None) -> str:
    """Return a moment as text, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if moment else "–"


def _lasting(seconds: float | None) -> str:
    """Return a duration as text."""
    if seconds is None:
        return "–"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _ago(moment: datetime | None, now: datetime) -> tuple[str, int]:
    """Return how long ago `moment` was as (unit, count), for the template to put into words."""
    if moment is None:
        return "never", 0
    seconds = max(0, (now - moment).total_seconds())
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= length:
            return unit, int(seconds // length)
    return "now", 0
