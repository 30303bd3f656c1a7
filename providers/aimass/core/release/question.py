"""The question that a person is asked before a release, as a line and as Markdown, in the language that is spoken."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from aimass.core.release.comparison import Comparison, MetricChange
from aimass.core.texts import Text, say

SUBJECT_CHARACTERS = 200

REPORTS: dict[str, Text] = {
    "evaluate_best": say("the challenger on the test part"),
    "evaluate": say("all candidates on validation"),
    "validate": say("the data's validation"),
    "explore": say("the data"),
}
"""What the reports of a run's tasks are called, by task id."""


def subject(found: Comparison) -> str:
    """Return the question in one line of plain text."""
    first = found.metrics[0]
    asked = {"name": found.name, "alias": found.alias, "metric": first.name, "value": first.challenger}
    line = say("Release {name} as {alias}? {metric} {value:.4g}", **asked)
    if found.champion is not None and first.champion is not None:
        against = {"version": found.champion.version, "before": first.champion}
        line = say(
            "Release {name} as {alias}? {metric} {value:.4g}; version {version} has {before:.4g}", **asked, **against
        )
    return " ".join(str(line).split())[:SUBJECT_CHARACTERS]


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


def table(metrics: Sequence[MetricChange], champion: str | None) -> str:
    """Return both models' metrics as a Markdown table; `champion` is the version in use, if any."""
    which = say("champion (none yet)")
    if champion is not None:
        which = say("champion (version {version})", version=markdown_text(champion))
    columns = [say("metric"), say("challenger"), which, say("difference")]
    head = f"| {' | '.join(map(str, columns))} |"
    return "\n".join([head, "|---|--:|--:|--:|", *(_row(change) for change in metrics)])


def checks(gate: Sequence[str]) -> str:
    """Return what the gate looked at as a Markdown list."""
    said = [say("gate {check}", check=markdown_text(line)) for line in gate]
    return "\n".join(f"- {check}" for check in said)


def _paragraphs(found: Comparison, links: Mapping[str, str]) -> Iterator[str]:
    if found.passes:
        verdict = say("The gate would let this model through. Its certificate is made, and must hold, at the release.")
    else:
        verdict = say("The gate would refuse this model, whatever is answered here.")
    yield f"**{verdict}**"
    if found.warnings:
        yield "\n>\n".join(f"> ⚠ {markdown_text(text)}" for text in found.warnings)
    rows = say("Test part: {rows:,} rows, {positives:,} of them positive", rows=found.rows, positives=found.positives)
    yield f"### {rows}"
    yield table(found.metrics, found.champion.version if found.champion is not None else None)
    yield checks(found.gate)
    yield "\n".join(f"- {line}" for line in _both(found))
    if links:
        named = [f"[{markdown_text(label)}]({_address(url)})" for label, url in links.items()]
        yield str(say("Reports: {links}", links=" · ".join(named)))


def _row(change: MetricChange) -> str:
    champion = "–" if change.champion is None else f"{change.champion:.6g}"
    difference = "–" if change.difference is None else f"{change.difference:+.3g}"
    better, worse = say("better"), say("worse")
    word = {True: f" {better}", False: f" **{worse}**", None: ""}[change.is_better]
    return f"| {markdown_text(change.name)} | {change.challenger:.6g} | {champion} | {difference}{word} |"


def _both(found: Comparison) -> Iterator[str]:
    challenger = {"name": markdown_text(found.candidate), "threshold": found.threshold}
    if found.family == found.candidate:
        yield str(say("Challenger: {name}, positive from {threshold:.4g} on.", **challenger))
    else:
        family = markdown_text(found.family)
        yield str(say("Challenger: {name}, a {family}, positive from {threshold:.4g} on.", family=family, **challenger))
    if found.champion is None:
        yield str(
            say("Champion: none; this would be the first version under {alias}.", alias=markdown_text(found.alias))
        )
        return
    certificate = found.champion.certificate or str(say("Its certificate is out of reach."))
    version = say("Champion: version {version}.", version=markdown_text(found.champion.version))
    yield f"{version} {markdown_text(certificate)}"
    if found.champion.moved:
        yield str(say("Last move: {move}", move=markdown_text(found.champion.moved)))


def _address(url: str) -> str:
    """Return `url` so that it cannot end the link that it stands in."""
    return url.replace("(", "%28").replace(")", "%29").replace(" ", "%20").replace("<", "%3C").replace(">", "%3E")
