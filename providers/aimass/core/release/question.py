"""The question that a person is asked before a release, as a line and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from aimass.core.release.comparison import Comparison, MetricChange

SUBJECT_CHARACTERS = 200


def subject(found: Comparison) -> str:
    """Return the question in one line of plain text."""
    first = found.metrics[0]
    against = ""
    if found.champion is not None and first.champion is not None:
        against = f"; version {found.champion.version} has {first.champion:.4g}"
    line = f"Release {found.name} as {found.alias}? {first.name} {first.challenger:.4g}{against}"
    return " ".join(line.split())[:SUBJECT_CHARACTERS]


def body(found: Comparison, links: Mapping[str, str]) -> str:
    """Return the comparison as Markdown.

    Parameters
    ----------
    found : Comparison
        The comparison.
    links : mapping of str to str
        Addresses of the reports, by what they are called.
    """
    return "\n\n".join(_paragraphs(found, links)) + "\n"


def markdown_text(text: str) -> str:
    """Return `text` on one line, with nothing in it that Markdown or HTML would read as markup."""
    return re.sub(r"([\\`*_{}\[\]<>|#!~&])", r"\\\1", " ".join(text.split()))


def _paragraphs(found: Comparison, links: Mapping[str, str]) -> Iterator[str]:
    if found.passes:
        yield "**The gate would let this model through.** Its certificate is made, and must hold, when it is released."
    else:
        yield "**The gate would refuse this model, whatever is answered here.**"
    if found.warnings:
        yield "\n".join(f"> ⚠ {markdown_text(text)}" for text in found.warnings).replace("\n", "\n>\n")
    yield f"### Test part: {found.rows:,} rows, {found.positives:,} of them positive"
    which = f"version {markdown_text(found.champion.version)}" if found.champion else "none yet"
    head = f"| metric | challenger | champion ({which}) | difference |\n|---|--:|--:|--:|"
    yield "\n".join([head, *(_row(change) for change in found.metrics)])
    yield "\n".join(f"- gate {markdown_text(line)}" for line in found.gate)
    yield "\n".join(f"- {line}" for line in _both(found))
    if links:
        yield "Reports: " + " · ".join(f"[{markdown_text(label)}]({_address(url)})" for label, url in links.items())


def _row(change: MetricChange) -> str:
    champion = "–" if change.champion is None else f"{change.champion:.6g}"
    difference = "–" if change.difference is None else f"{change.difference:+.3g}"
    word = {True: " better", False: " **worse**", None: ""}[change.is_better]
    return f"| {markdown_text(change.name)} | {change.challenger:.6g} | {champion} | {difference}{word} |"


def _both(found: Comparison) -> Iterator[str]:
    family = f", a {markdown_text(found.family)}" if found.family != found.candidate else ""
    yield f"**Challenger:** {markdown_text(found.candidate)}{family}, positive from {found.threshold:.4g} on."
    if found.champion is None:
        yield f"**Champion:** none; this would be the first version under {markdown_text(found.alias)}."
        return
    yield f"**Champion:** version {markdown_text(found.champion.version)}. " + markdown_text(
        found.champion.certificate or "Its certificate is out of reach."
    )
    if found.champion.moved:
        yield f"**Last move:** {markdown_text(found.champion.moved)}"


def _address(url: str) -> str:
    """Return `url` so that it cannot end the link that it stands in."""
    return url.replace("(", "%28").replace(")", "%29").replace(" ", "%20").replace("<", "%3C").replace(">", "%3E")
