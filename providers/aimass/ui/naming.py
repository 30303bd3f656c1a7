"""A name for a model, from the name of a file."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote

FALLBACK = "my_model"


def model_name(file: str) -> str:
    """Return a possible model name for what is learned from `file`; names are English letters, digits and ``_``."""
    stem = posixpath.basename(unquote(file)).partition(".")[0]
    # What is left of a name in another script says nothing.
    words = re.findall(r"[A-Za-z0-9]+", stem) if stem.isascii() else []
    name = "_".join(words).lower()[:60]
    return name if len(name) > 1 and name[0].isalpha() else FALLBACK
