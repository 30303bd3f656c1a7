"""The release's page: what was released, what it proved, and what it was made from."""

from __future__ import annotations

from typing import Any

from aimass.core.evaluation import METRICS
from aimass.core.release.base import Version
from aimass.core.release.card import CardFacts, certificate_line
from aimass.core.release.certificate import cautions, refusals
from aimass.core.reports import number, render, short
from aimass.core.texts import Text, say, translate

FIGURES = {
    "rows": (say("held-out rows"), say("Rows of the validation and test parts that were compared.")),
    "edge_rows": (
        say("edge rows"),
        say("Rows made for the comparison: thresholds ± 1 ulp, null, NaN, ±inf, values never seen."),
    ),
    "max_abs_diff": (
        say("greatest difference"),
        say("Of the probabilities of the ONNX graph and of the native model, on the same row."),
    ),
    "outside_tolerance": (
        say("rows outside the tolerance"),
        say("Rows whose probabilities differ by more than 1e-6 + 1e-5·|p|; there may be none."),
    ),
    "flips": (say("labels that differ"), say("Rows that one side calls positive and the other does not.")),
    "flips_outside": (
        say("of these, away from the threshold"),
        say("Rows whose probability is more than 1e-5 from the threshold; there may be none."),
    ),
    "near_edge_rows": (
        say("rows at an edge"),
        say(
            "Rows in which only a discrete feature differs, because a number lies at the edge of a bin; they are rare."
        ),
    ),
    "differing_features": (say("features that differ"), say("In how many rows, by feature.")),
    "worst_row": (say("row with the greatest difference"), say("Which row it is, and both probabilities.")),
    "threshold": (say("threshold"), say("From this probability on a row is predicted positive.")),
}
"""What the certificate's figures are called and mean."""
WORDS = {
    "kind": say("kind"),
    "held-out": say("held-out"),
    "edge": say("edge"),
    "index": say("number"),
    "released": say("ONNX"),
    "native": say("native"),
}
"""What the worst row is described by."""
SOURCES = {
    "model": say("the trained models"),
    "features": say("the feature graph"),
    "raw": say("the dataset of the split stage"),
}


def report_html(facts: CardFacts, version: Version | None) -> str:
    """Return the page.

    Parameters
    ----------
    facts : CardFacts
        What the card says, too.
    version : Version or None
        What stands in the registry now; None where the release was refused.
    """
    certificate = facts.certificate
    return render(
        "release.html",
        title=facts.name,
        subtitle=say("version {version}", version=version.version) if version else say("not released"),
        refused=[*refusals(certificate), *(check.said for check in facts.gate if not check.passed)],
        alias=facts.alias,
        version=version,
        line=certificate_line(certificate),
        warnings=[{"level": "warning", "text": text} for text in cautions(certificate)],
        gate=[{"level": "good" if check.passed else "error", "text": check} for check in facts.gate],
        tiles=_tiles(certificate),
        metrics=[_metric(name, value) for name, value in sorted(facts.metrics.items())],
        certificate=[(*FIGURES[name], _shown(certificate[name])) for name in FIGURES],
        versions=sorted(certificate["versions"].items()),
        inputs=[[short(name), kind] for name, kind in facts.inputs],
        settings=[[name, short(str(value))] for name, value in sorted(facts.settings.items())],
        data=[
            ("model.onnx", facts.digest),
            *((SOURCES.get(what, what), digest) for what, digest in facts.data.items()),
        ],
    )


def _metric(name: str, value: float) -> tuple[Text, Text, str]:
    metric = METRICS.load(name)
    return say(metric.title), say(metric.explanation), number(value, 6)


def _tiles(certificate: Any) -> list[dict[str, Any]]:
    def tile(name: str, value: str, tone: str = "") -> dict[str, Any]:
        label, hint = FIGURES[name]
        return {"label": label, "hint": hint, "value": value, "tone": tone}

    return [
        {
            "label": say("certificate"),
            "value": say("holds") if certificate["ok"] else say("fails"),
            "tone": "good" if certificate["ok"] else "error",
            "hint": say("Whether the released graph may stand for the native model."),
        },
        {
            "label": say("rows compared"),
            "value": number(certificate["rows"] + certificate["edge_rows"]),
            "hint": say("Held-out rows, and rows made at edges."),
        },
        tile("max_abs_diff", f"{certificate['max_abs_diff']:.2e}"),
        tile("flips", number(certificate["flips"]), "warning" if certificate["flips"] else ""),
    ]


def _shown(value: Any) -> Text | str:
    """Return a figure of the certificate as a person reads it."""
    if isinstance(value, dict):
        parts = [f"{WORDS.get(name, name)} {_shown(inner)}" for name, inner in value.items()]
        return short(translate(", ").join(parts), 600) if parts else say("none")
    if isinstance(value, float):
        return f"{value:.9g}"
    return f"{value:,}" if isinstance(value, int) else WORDS.get(value, value)
