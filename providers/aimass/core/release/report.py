"""The release's page: what was released, what it proved, and what it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aimass.core.release.base import Version
from aimass.core.release.card import CardFacts, certificate_line
from aimass.core.release.certificate import Certificate
from aimass.core.release.gate import REFUSED
from aimass.core.reports import render


def report_html(facts: CardFacts, refused: Sequence[str], version: Version | None) -> str:
    """Return the page.

    Parameters
    ----------
    facts : CardFacts
        What the card says, too.
    refused : sequence of str
        Why the release was refused; empty where it was not.
    version : Version or None
        What stands in the registry now.
    """
    certificate = facts.certificate
    return render(
        "release.html",
        title=facts.name,
        subtitle=f"version {version.version}" if version else "not released",
        refused=list(refused),
        alias=facts.alias,
        version=version,
        line=certificate_line(certificate),
        warnings=[{"level": "warning", "text": text} for text in certificate["warnings"]],
        gate=[{"level": "error" if text.startswith(REFUSED) else "good", "text": text} for text in facts.gate],
        tiles=[
            {"label": "certificate", "value": "holds" if certificate["ok"] else "fails"},
            {"label": "rows compared", "value": f"{certificate['rows'] + certificate['edge_rows']:,}"},
            {"label": "greatest difference", "value": f"{certificate['max_abs_diff']:.2e}"},
            {"label": "labels that differ", "value": f"{certificate['flips']:,}"},
        ],
        metrics=[[name, f"{value:.6g}"] for name, value in sorted(facts.metrics.items())],
        certificate=[[Certificate.model_fields[name].description, _shown(certificate[name])] for name in _SHOWN],
        versions=sorted(certificate["versions"].items()),
        inputs=facts.inputs,
        settings=[[name, str(value)] for name, value in sorted(facts.settings.items())],
        data=[["model.onnx", facts.digest], *([what, digest] for what, digest in facts.data.items())],
    )


def _shown(value: Any) -> str:
    """Return a figure of the certificate as a person reads it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, float):
        return f"{value:.9g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


_SHOWN = (
    "rows",
    "edge_rows",
    "max_abs_diff",
    "outside_tolerance",
    "flips",
    "flips_outside",
    "near_edge_rows",
    "differing_features",
    "worst_row",
    "threshold",
)
