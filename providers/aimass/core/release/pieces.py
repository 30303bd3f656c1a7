"""The pieces of a release: model, feature graph, evaluation and raw rows, and what is made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aimass
from aimass.core.artifacts import Artifact
from aimass.core.datasets import collect, open_dataset
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError
from aimass.core.features.graph import GRAPH_FILE, ONNX_FILE, FeatureGraph
from aimass.core.models.candidates import Candidate, load_candidates, load_model
from aimass.core.monitoring.profile import PROFILE_FILE, Truth
from aimass.core.monitoring.reference import make_profile
from aimass.core.release.base import METRICS_TAG, Package
from aimass.core.release.card import CardFacts, certificate_line
from aimass.core.release.certificate import Certificate, ParitySettings
from aimass.core.release.certify import CertifyRequest, certify
from aimass.core.release.export import GraphFacts, export
from aimass.core.release.gate import Check
from aimass.core.storage import file_digest

if TYPE_CHECKING:
    from aimass.core.stages.base import Output

MODEL_FILE = "model.onnx"
CERTIFICATE_FILE = "certificate.json"
CARD_FILE = "README.md"
OUTPUT_TAG = "aimass.output"
EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Addresses:
    """URIs of the published outputs that a release is made from.

    Attributes
    ----------
    model : str
        The artifact of train or optimize.
    features : str
        The featurize stage's output.
    raw : str
        The split stage's dataset.
    evaluation : str
        The evaluation of the model on the test part.
    """

    model: str
    features: str
    raw: str
    evaluation: str


class Pieces:
    """What a release is made from, opened and checked against each other.

    Parameters
    ----------
    addresses : Addresses
        The published outputs.
    deps : Deps
        Whose store has them.

    Raises
    ------
    ConfigError
        The evaluation is not of this model, or not on the test part.
    """

    def __init__(self, addresses: Addresses, deps: Deps) -> None:
        self._addresses = addresses
        self._deps = deps
        self._model = Artifact(addresses.model, deps)
        self._features = Artifact(addresses.features, deps)
        self._evaluation = Artifact(addresses.evaluation, deps)
        found = load_candidates(self._model)
        self._candidate: Candidate = found.named(found.best)
        self._graph = FeatureGraph.load(self._features)
        self._check_evaluation()
        result = self._evaluation.manifest.result
        self.threshold = float(result["threshold"])
        [measured] = [one for one in result["candidates"] if one["name"] == self._candidate.name]
        self.metrics: dict[str, float] = measured["metrics"]

    def write_graph(self, output: Output) -> str:
        """Write model.onnx; return its digest."""
        facts = GraphFacts(
            classes=self._candidate.classes,
            threshold=self.threshold,
            graph_digest=file_digest(self._features.path(GRAPH_FILE)),
            producer=f"aimass {aimass.__version__}",
        )
        model = load_model(self._model, self._candidate).to_onnx(self._candidate.features)
        data = export(self._features.read_bytes(ONNX_FILE), model, facts)
        output.write_file(MODEL_FILE, data)
        return next(file.sha256 for file in output.files if file.name == MODEL_FILE)

    def certify(self, output: Output, sha256: str, parity: ParitySettings) -> Certificate:
        """Write and return the certificate of the graph that lies in `output`."""
        request = CertifyRequest(
            runtime=self._deps.runtime,
            onnx=f"{output.uri}/{MODEL_FILE}",
            sha256=sha256,
            model=self._addresses.model,
            candidate=self._candidate.name,
            features=self._addresses.features,
            raw=self._addresses.raw,
            threshold=self.threshold,
            parity=parity,
        )
        certificate = certify(request)
        output.write_file(CERTIFICATE_FILE, certificate.model_dump_json(indent=1))
        return certificate

    def write_profile(self, output: Output) -> None:
        """Write what windows of live data are compared with later: raw columns and answers as they are now."""
        test = self._evaluation.read_json("evaluation.json")
        truth = Truth(rows=test["rows"], positives=test["positives"])
        onnx_file = self._deps.store.localize(f"{output.uri}/{MODEL_FILE}")
        profile = make_profile(self._graph, onnx_file, open_dataset(self._addresses.raw, self._deps), truth)
        output.write_file(PROFILE_FILE, json.dumps(profile.document(), ensure_ascii=False))

    def facts(self, name: str, alias: str, certificate: Certificate, gate: Sequence[Check]) -> CardFacts:
        """Return what card and report say."""
        return CardFacts(
            name=name,
            alias=alias,
            project=self._deps.project,
            family=self._candidate.family,
            digest=certificate.model_sha256,
            classes=self._candidate.classes,
            threshold=self.threshold,
            metrics=self.metrics,
            settings=self._candidate.settings,
            inputs=self._graph.raw_columns,
            data=self._data_digests(),
            certificate=certificate.model_dump(mode="json"),
            gate=gate,
        )

    def package(self, name: str, output: Output, certificate: Certificate) -> Package:
        """Return what goes into the registry."""
        local = self._deps.store.localize
        native = {
            f"native/{file}": self._model.path(f"{self._candidate.folder}/{file}") for file in self._candidate.files
        }
        own = {file: local(f"{output.uri}/{file}") for file in (CERTIFICATE_FILE, CARD_FILE, PROFILE_FILE)}
        rows = open_dataset(self._addresses.raw, self._deps).scan(
            "train", columns=[n for n, _ in self._graph.raw_columns]
        )
        return Package(
            name=name,
            digest=certificate.model_sha256,
            onnx_file=local(f"{output.uri}/{MODEL_FILE}"),
            example=self._graph.encode(collect(rows.head(EXAMPLE_ROWS))),
            files={**own, **native, GRAPH_FILE: self._features.path(GRAPH_FILE)},
            tags={
                "aimass.project": self._deps.project,
                "aimass.family": self._candidate.family,
                "aimass.threshold": repr(self.threshold),
                OUTPUT_TAG: output.uri,
                METRICS_TAG: json.dumps(self.metrics),
                **{f"aimass.{what}": digest for what, digest in self._data_digests().items()},
            },
            metrics={f"test_{name}": value for name, value in self.metrics.items()},
            description=certificate_line(certificate.model_dump()),
        )

    def _data_digests(self) -> dict[str, str]:
        raw = open_dataset(self._addresses.raw, self._deps).manifest
        manifests = {"model": self._model.manifest, "features": self._features.manifest, "raw": raw}
        return {what: manifest.digest for what, manifest in manifests.items()}

    def _check_evaluation(self) -> None:
        """Raise ConfigError unless the evaluation is of this model, on the test part."""
        manifest = self._evaluation.manifest
        if manifest.result.get("split") != "test":
            raise ConfigError(
                f"The evaluation was made on the {manifest.result.get('split')!r} part", expected="one on the test part"
            )
        judged = {ref.digest for ref in manifest.inputs if ref.field == "model"}
        if judged != {self._model.manifest.digest}:
            raise ConfigError(
                f"The evaluation {self._addresses.evaluation} judged another model than {self._addresses.model}",
                hint="Evaluate the model that is to be released",
            )
