"""The pages' languages. Texts are English in code and templates; each other language is one ``.po`` file."""

from __future__ import annotations

import functools
import gettext
import io
from importlib import resources

LANGUAGES = {"en": "English", "zh": "中文"}
DOMAIN = "aimass"


@functools.cache
def translations(language: str, package: str = "aimass.ui") -> gettext.NullTranslations:
    """Return the catalog of `language` in `package`; English needs none.

    The ``.po`` file is compiled in memory, so that what is read is what people edit.
    """
    if language not in LANGUAGES or language == "en":
        return gettext.NullTranslations()
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    source = resources.files(package) / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(source.read_bytes()), locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def choose(*wishes: str | None) -> str:
    """Return the first language that one of `wishes` names; a wish is a code or an ``Accept-Language`` header."""
    for wish in wishes:
        for entry in (wish or "").split(","):
            code = entry.split(";")[0].strip().lower().replace("_", "-").split("-")[0]
            if code in LANGUAGES:
                return code
    return "en"
