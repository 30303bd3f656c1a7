"""Sentences in the reader's language.

They are written in English where they arise, and put into words when they are shown::

    found = say("The training part has {rows:,} rows.", rows=412)
    str(found)              # English: for logs, results and documents
    with speaking("zh"):
        str(found)          # as the catalog has it: while a page is made

The English sentence is the key of the catalog ``reports/locale/<language>/LC_MESSAGES/aimass.po``. A `Text` survives
JSON, so that a document can be read in a language that nobody asked for when it was written.
"""

from __future__ import annotations

import contextlib
import math
import string
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from aimass.core.catalogs import catalog
from aimass.core.errors import UnknownNameError

PACKAGE = "aimass.core.reports"
"""Whose catalog has the sentences."""

LANGUAGES = {"en": "English", "zh": "中文"}
"""What each language calls itself; the first one is that of code and documents."""

_language: ContextVar[str] = ContextVar("language", default="en")


class Text(BaseModel):
    """A sentence with its figures; ``str`` puts it into the language that is spoken now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    message: str = Field(description="The sentence in English, with placeholders as str.format knows them.")
    values: dict[str, bool | int | float | str | Text | list[Text] | None] = Field(
        default_factory=dict, description="What stands in the placeholders."
    )

    def __str__(self) -> str:
        pattern = translate(self.message)
        return _FORMATTER.vformat(pattern, (), self.values) if self.values else pattern


class _Formatter(string.Formatter):
    """Formats numbers as told; what is none (a text, an infinity that JSON could not hold) is shown as it is."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, list):
            return translate("; ").join(map(str, value))
        if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
            return format(value, format_spec)
        return str(value)


_FORMATTER = _Formatter()


def say(message: str, /, **values: Any) -> Text:
    """Return the sentence `message` about `values`; those that are texts themselves are translated with it.

    Parameters
    ----------
    message : str
        In English; a literal, so that the catalog's tools find it.
    **values
        By placeholder: a number, a word, a Text, or a list of Texts.
    """
    return Text(message=message, values=values)


@contextlib.contextmanager
def speaking(language: str) -> Iterator[None]:
    """Put every text that is shown inside this block into `language`.

    Raises
    ------
    UnknownNameError
        There is no such language.
    """
    if language not in LANGUAGES:
        raise UnknownNameError("language", language, LANGUAGES)
    token = _language.set(language)
    try:
        yield
    finally:
        _language.reset(token)


def spoken() -> str:
    """Return the language that is spoken now."""
    return _language.get()


def translate(message: str) -> str:
    """Return `message` in the language that is spoken now; as it is where the catalog does not know it."""
    return catalog(_language.get(), PACKAGE).gettext(message)


def translate_count(one: str, many: str, count: int) -> str:
    """Return the form that fits `count`, in the language that is spoken now."""
    return catalog(_language.get(), PACKAGE).ngettext(one, many, count)
