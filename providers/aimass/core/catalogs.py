"""Catalogs of translations: ``<package>/locale/<language>/LC_MESSAGES/aimass.po``, read as people edit them."""

from __future__ import annotations

import functools
import gettext
import io
from importlib import resources

DOMAIN = "aimass"
SOURCE_LANGUAGE = "en"


@functools.cache
def catalog(language: str, package: str) -> gettext.NullTranslations:
    """Return the catalog of `language` in `package`, compiled in memory; English, as the code says it, has none."""
    if language == SOURCE_LANGUAGE:
        return gettext.NullTranslations()
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    source = resources.files(package) / "locale" / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(source.read_bytes()), locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
