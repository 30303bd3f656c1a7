"""A position in a few words: what an event or a page tells of it, however long it is."""

from __future__ import annotations

import json
from typing import Any

from aimass.core.storage import text_digest

MAX_BYTES = 2_000
MAX_ENTRIES = 5
MAX_CHARACTERS = 200


def summarize(position: Any) -> Any:
    """Return `position` where it is short, else its beginning and what was left out; JSON-able, 2 KB at most.

    Long lists and mappings keep their first entries and say how many there are, and the digest of the whole position
    tells two that look alike apart.
    """
    if len(json.dumps(position)) <= MAX_BYTES:
        return position
    for entries in range(MAX_ENTRIES, -1, -1):
        found = {"summary": _shortened(position, entries), "digest": text_digest(position)}
        if len(json.dumps(found)) <= MAX_BYTES:
            break
    return found


def _shortened(value: Any, entries: int) -> Any:
    if isinstance(value, dict):
        kept = {key[:MAX_CHARACTERS]: _shortened(inner, entries) for key, inner in [*value.items()][: entries + 2]}
        return kept if len(kept) == len(value) else {**kept, "…": f"{len(value):,} entries"}
    if isinstance(value, list):
        kept_items = [_shortened(inner, entries) for inner in value[:entries]]
        return kept_items if len(kept_items) == len(value) else [*kept_items, f"… {len(value):,} entries"]
    return f"{value[:MAX_CHARACTERS]}…" if isinstance(value, str) and len(value) > MAX_CHARACTERS else value
