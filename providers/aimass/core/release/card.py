"""The model card: README.md in the layout that Hugging Face reads, with our own facts below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from aimass.core.release.gate import Check
from aimass.core.texts import say


@dataclass(frozen=True)
class CardFacts:
    """What a card says.

    Attributes
    ----------
    name, alias, project, family : str
        The registered model, the alias that clients load it by, its pipeline, its model family.
    digest : str
        sha256 of model.onnx.
    classes : list of str
        The classes, the positive one last.
    threshold : float
        From which probability on a row counts as positive.
    metrics : dict
        Metrics on the test part.
    settings : dict
        The model's hyper-parameters.
    inputs : list of (name, type)
        The raw columns.
    data : dict of str to str
        Digests of what the model was made from, by what it is.
    certificate : dict
        The parity certificate.
    gate : list of Check
        What the gate looked at.
    """

    name: str
    alias: str
    project: str
    family: str
    digest: str
    classes: Sequence[str]
    threshold: float
    metrics: Mapping[str, float]
    settings: Mapping[str, Any]
    inputs: Sequence[tuple[str, str]]
    data: Mapping[str, str]
    certificate: Mapping[str, Any]
    gate: Sequence[Check] = field(default_factory=list)


def render_card(facts: CardFacts) -> str:
    """Return the card as Markdown with a YAML front matter."""
    intro = (
        f"Binary classifier of the pipeline `{facts.project}`, family `{facts.family}`. Answers with the probability "
        f"of `{facts.classes[-1]}`; from {facts.threshold:.6g} on the label is 1."
    )
    usage = (
        f'```python\nimport mlflow.pyfunc\n\nmodel = mlflow.pyfunc.load_model("models:/{facts.name}@{facts.alias}")\n'
        "model.predict(model.input_example)  # one array per raw column\n```"
    )
    sections = [
        f"# {facts.name}",
        intro,
        "## How to use it",
        usage,
        "## Inputs",
        _table(["column", "type"], [[f"`{name}`", kind] for name, kind in facts.inputs]),
        "## Quality on the test part",
        _table(["metric", "value"], [[name, f"{value:.6g}"] for name, value in sorted(facts.metrics.items())]),
        "\n".join(f"- {line}" for line in facts.gate),
        "## Parity certificate",
        certificate_line(facts.certificate),
        "## Made from",
        _table(["what", "digest"], [[what, f"`{digest}`"] for what, digest in facts.data.items()]),
        "## Hyper-parameters",
        _table(["name", "value"], [[f"`{name}`", f"`{value}`"] for name, value in sorted(facts.settings.items())]),
    ]
    return f"---\n{_front_matter(facts)}---\n\n" + "\n\n".join(part for part in sections if part) + "\n"


def certificate_line(certificate: Mapping[str, Any]) -> str:
    """Return the certificate in one line, in the language that is spoken."""
    figures = {name: certificate[name] for name in ("rows", "edge_rows", "max_abs_diff", "flips", "flips_outside")}
    holds = say(
        "The certificate holds: {rows:,} held-out rows and {edge_rows:,} edge rows, greatest difference "
        "{max_abs_diff:.2e}, {flips} labels differ, {flips_outside} of them away from the threshold.",
        **figures,
    )
    fails = say(
        "The certificate FAILS: {rows:,} held-out rows and {edge_rows:,} edge rows, greatest difference "
        "{max_abs_diff:.2e}, {flips} labels differ, {flips_outside} of them away from the threshold.",
        **figures,
    )
    return str(holds if certificate["ok"] else fails)


def _front_matter(facts: CardFacts) -> str:
    results = [
        {
            "task": {"type": "tabular-classification"},
            "dataset": {"name": facts.project, "type": "tabular", "split": "test"},
            "metrics": [{"type": name, "value": float(value)} for name, value in sorted(facts.metrics.items())],
        }
    ]
    document = {
        "library_name": "onnx",
        "pipeline_tag": "tabular-classification",
        "tags": ["aimass", "onnx", facts.family],
        "model-index": [{"name": facts.name, "results": results}],
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [
        head,
        ["---"] * len(head),
        *([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
