"""What stages warn of, in the reader's language: results hold English, documents beside them what to translate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from aimass.core.deps import Deps
from aimass.core.errors import AimassError
from aimass.core.texts import Text, speaking
from aimass.ui.outputs import output_of

DOCUMENTS = {"explore": "exploration.json", "evaluate_best": "evaluation.json"}
"""By task: the document that repeats the result's warnings as sentences with their figures."""


def teller(deps: Deps, results: Mapping[str, Mapping[str, Any]], language: str) -> Callable[[str], str]:
    """Return what puts a stage's English sentence into `language`; one that no document repeats stays as it is.

    Parameters
    ----------
    deps : Deps
        Whose store has the documents.
    results : mapping
        The results of a run's tasks, by task.
    language : str
        The reader's; English reads no document.
    """
    known: dict[str, str] = {}
    with speaking(language):
        for task_id, name in DOCUMENTS.items() if language != "en" else ():
            try:
                document = json.loads(output_of(deps, dict(results.get(task_id, {}))).read(name))
            except (AimassError, ValueError):
                # Collected, or written by another version: English is better than no page.
                continue
            known.update((text, str(said)) for text, said in _sentences(document))
    return lambda text: known.get(text, text)


def _sentences(document: Any) -> Iterator[tuple[str, Text]]:
    """Yield every sentence in `document` with what it is made of."""
    if isinstance(document, list):
        for item in document:
            yield from _sentences(item)
    elif isinstance(document, dict):
        if isinstance(document.get("text"), str) and isinstance(document.get("said"), dict):
            try:
                yield document["text"], Text.model_validate(document["said"])
            except ValidationError:
                return
        for item in document.values():
            yield from _sentences(item)
