"""The incremental reads of a source as a page shows them: what each brought, and up to where it read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from gettext import NullTranslations

from aimass.core.manifest import Manifest
from aimass.core.stages.chain import Chain
from aimass.ui.outputs import PublishedOutput
from aimass.ui.positions import position_words
from aimass.ui.queries.published import Maker

MOST_READS = 20
"""A page reads the manifests of no more."""


@dataclass(frozen=True)
class Read:
    """One read.

    Attributes
    ----------
    number : int
        Its place in the chain, from 0.
    new_rows, rows, rejected : int
        What it brought, what its dataset holds, and what was kept aside.
    created_at : str
        When it was published.
    position : str
        Which part of the source it read, in words.
    is_here : bool
        Whether its dataset is the one in question.
    maker : Maker or None
        The task that published it, where it is one of the last runs.
    """

    number: int
    new_rows: int
    rows: int
    rejected: int
    created_at: str
    position: str
    is_here: bool
    maker: Maker | None


@dataclass(frozen=True)
class Reads:
    """A chain.

    Attributes
    ----------
    count : int
        How many reads there are.
    shown : list of Read
        The last ones, newest first, and the one in question.
    """

    count: int = 0
    shown: list[Read] = field(default_factory=list)


def reads_of(found: PublishedOutput, makers: Mapping[str, Maker], words: NullTranslations) -> Reads:
    """Return the chain of reads that `found` belongs to; an empty one where it belongs to none.

    Parameters
    ----------
    found : PublishedOutput
        The dataset in question.
    makers : mapping of str to Maker
        The tasks that published outputs, by address.
    words : gettext.NullTranslations
        The reader's language.
    """
    link = found.manifest.link
    if link is None:
        return Reads()
    chain = Chain(found.deps, found.manifest.stage, link.chain, project=found.manifest.project)
    head = max(chain.head(), link.number)
    numbers = dict.fromkeys([*range(head, max(-1, head - MOST_READS), -1), link.number])
    lines = []
    for number in numbers:
        # Garbage collection may have taken one that nothing refers to any more.
        manifest = chain.manifest(number)
        if manifest is not None:
            maker = makers.get(chain.folder(number))
            lines.append(_line(number, manifest, maker, words, is_here=number == link.number))
    return Reads(head + 1, lines)


def _line(number: int, manifest: Manifest, maker: Maker | None, words: NullTranslations, *, is_here: bool) -> Read:
    result = manifest.result
    return Read(
        number=number,
        new_rows=int(result.get("rows", 0)) - int(result.get("earlier_rows", 0)),
        rows=int(result.get("rows", 0)),
        rejected=int(result.get("rejected", 0)),
        created_at=manifest.created_at,
        position=position_words(manifest.position, words),
        is_here=is_here,
        maker=maker,
    )
