"""The pages' languages. Texts are English in code and templates; see `aimass.core.catalogs` for the others."""

from __future__ import annotations

import gettext

from aimass.core.catalogs import catalog
from aimass.core.texts import LANGUAGES

PACKAGE = "aimass.ui"


def translations(language: str) -> gettext.NullTranslations:
    """Return the pages' catalog of `language`."""
    return catalog(language, PACKAGE)


def choose(*wishes: str | None) -> str:
    """Return the first language that one of `wishes` names; a wish is a code or an ``Accept-Language`` header."""
    for wish in wishes:
        for entry in (wish or "").split(","):
            code = entry.split(";")[0].strip().lower().replace("_", "-").split("-")[0]
            if code in LANGUAGES:
                return code
    return "en"
