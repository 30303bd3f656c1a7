"""Up to where a source was read, in a few words: from the position in a manifest, whatever kind of source it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from gettext import NullTranslations
from typing import Any

from aimass.core.reports import number
from aimass.core.reports.page import size
from aimass.core.sources.summary import summarize

MOST_NAMES = 3
MOST_PARTITIONS = 8
MOST_CHARACTERS = 300


def position_words(position: Any, words: NullTranslations) -> str:
    """Return `position` in the reader's language; of one whose kind we do not know, the beginning of it as JSON.

    Parameters
    ----------
    position : JSON-able
        What a manifest holds: files, offsets, or keys that grow.
    words : gettext.NullTranslations
        The reader's language.
    """
    if position is None:
        return ""
    try:
        said = _said(position, words)
    except (KeyError, TypeError, ValueError, IndexError):
        said = ""  # a third party's, which looks like one of ours by accident
    said = said or json.dumps(summarize(position), ensure_ascii=False)
    return said if len(said) <= MOST_CHARACTERS else f"{said[: MOST_CHARACTERS - 1]}…"


def _said(position: Mapping[str, Any], words: NullTranslations) -> str:
    if "files" in position:
        return _files(position["files"], words)
    if "topics" in position:
        return "; ".join(_topic(name, found, words) for name, found in sorted(position["topics"].items()))
    mark = position.get("mark") or position.get("watermark")
    if mark is not None:
        return _keys(mark, words)
    taken = position.get("taken")
    return words.gettext("as it was at %(time)s") % {"time": str(taken)[:19].replace("T", " ")} if taken else ""


def _files(files: list[Any], words: NullTranslations) -> str:
    names = ", ".join(str(file[0]).rpartition("/")[2] for file in files[:MOST_NAMES])
    count = words.ngettext("%(num)s file", "%(num)s files", len(files)) % {"num": number(len(files))}
    more = ", …" if len(files) > MOST_NAMES else ""
    return f"{count}, {size(sum(int(file[1]) for file in files))}: {names}{more}"


def _topic(name: str, found: Mapping[str, Any], words: NullTranslations) -> str:
    spans = sorted((int(partition), *span) for partition, span in found["partitions"].items())
    messages = sum(end - start for _, start, end in spans)
    count = words.ngettext("%(num)s offset", "%(num)s offsets", messages) % {"num": number(messages)}
    shown = ", ".join(f"{partition}: {start}–{end}" for partition, start, end in spans[:MOST_PARTITIONS])
    more = ", …" if len(spans) > MOST_PARTITIONS else ""
    return f"{name}: {count} ({shown}{more})"


def _keys(mark: Mapping[str, Any], words: NullTranslations) -> str:
    after, to, late = mark.get("after"), mark.get("to"), mark.get("late") or []
    parts = []
    if to is None:
        parts.append(words.gettext("no row yet"))
    elif after is None:
        parts.append(words.gettext("up to %(key)s") % {"key": _key(to)})
    elif to != after:
        parts.append(words.gettext("above %(after)s, up to %(key)s") % {"after": _key(after), "key": _key(to)})
    if late:
        told = words.ngettext("%(num)s row that came late", "%(num)s rows that came late", len(late))
        parts.append(told % {"num": number(len(late))})
    return "; ".join(parts)


def _key(key: list[Any]) -> str:
    return ", ".join(str(value) for value in key)
