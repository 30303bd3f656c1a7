from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from aimass.core.artifacts import Artifact
from aimass.core.deps import Deps
from aimass.core.errors import ConfigError, GateRefusedError
from aimass.core.features.graph import FeatureGraph
from aimass.core.monitoring.profile import Profile
from aimass.core.release.ledger import Ledger
from aimass.core.release.promotion import open_registry
from tests.releasing import make_release, run
from tests.searching import make_deps

MODELS = [{"type": "lightgbm", "n_estimators": 10}]
OTHER_MODELS = [{"type": "lightgbm", "n_estimators": 1, "num_leaves": 2}]


@pytest.fixture(scope="module")
def deps(tmp_path_factory: pytest.TempPathFactory) -> Deps:
    return make_deps(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def config(deps: Deps) -> dict[str, Any]:
    return make_release(deps, MODELS)


@pytest.fixture(scope="module")
def other(deps: Deps) -> dict[str, Any]:
    """Return the release of a weaker model."""
    return make_release(deps, OTHER_MODELS)


@pytest.fixture(scope="module")
def released(deps: Deps, config: dict[str, Any]) -> Any:
    return run(deps, "release", **config)


@pytest.fixture(scope="module")
def artifact(deps: Deps, released: Any) -> Artifact:
    return Artifact(released.uri, deps)


def test_the_released_version_stands_under_its_alias(released: Any, deps: Deps) -> None:
    assert (released.version, released.standing, released.refused) == ("1", True, [])
    champion = open_registry({"type": "memory"}, deps).aliased("late", "champion")
    assert champion.digest == released.model_digest
    assert json.loads(champion.tags["aimass.metrics"]) == released.metrics


def test_the_certificate_holds_and_says_what_it_saw(artifact: Artifact, released: Any) -> None:
    certificate = artifact.read_json("certificate.json")
    assert certificate["ok"]
    assert certificate["rows"] == 400
    assert certificate["edge_rows"] > 20
    assert certificate["flips_outside"] == 0
    assert certificate["model_sha256"] == released.model_digest
    assert "Only 400 held-out rows" in certificate["warnings"][0]
    assert {"onnxruntime", "polars", "lightgbm"} <= certificate["versions"].keys()


def test_the_graph_answers_raw_rows(artifact: Artifact, config: dict[str, Any], deps: Deps) -> None:
    graph = FeatureGraph.load(Artifact(config["features"], deps))
    session = ort.InferenceSession(artifact.read_bytes("model.onnx"))
    feeds = graph.encode_rows([{"carrier": "DL", "distance": None, "hour": 23, "scheduled": None}])
    answer = dict(zip([one.name for one in session.get_outputs()], session.run(None, feeds), strict=True))
    assert (answer["probability"].dtype, answer["probability"].shape) == (np.float32, (1,))
    assert (answer["label"].dtype, answer["label"].shape) == (np.int64, (1,))


def test_the_graph_says_what_it_is(artifact: Artifact) -> None:
    model = onnx.load_from_string(artifact.read_bytes("model.onnx"))
    properties = {one.key: one.value for one in model.metadata_props}
    assert json.loads(properties["aimass.classes"]) == ["false", "true"]
    assert 0 < float(properties["aimass.threshold"]) < 1
    assert properties["aimass.opset"] == "21"
    assert len(properties["aimass.graph_digest"]) == 64


def test_card_and_report_are_published(artifact: Artifact) -> None:
    card, report = artifact.read_bytes("README.md").decode(), artifact.read_bytes("report.html").decode()
    assert card.startswith("---\nlibrary_name: onnx\n")
    assert "The certificate holds" in card
    assert "The certificate holds" in report


def test_an_unchanged_run_is_reused_while_it_stands(config: dict[str, Any], released: Any, deps: Deps) -> None:
    again = run(deps, "release", **config)
    assert again.reused
    assert again.version == released.version


def test_a_moved_alias_is_put_back(config: dict[str, Any], other: dict[str, Any], deps: Deps) -> None:
    own = {**config, "name": "moved"}
    first = run(deps, "release", **own)
    assert run(deps, "release", **{**other, "name": "moved", "gate": {"max_drop": None}}).version == "2"
    back = run(deps, "release", **own)
    assert (back.version, back.reused, back.uri) == (first.version, False, first.uri)
    assert [move.new_version for move in Ledger(deps, "moved").entries()] == ["1", "2", "1"]
    assert open_registry({"type": "memory"}, deps).aliased("moved", "previous").version == "2"
    assert Artifact(back.uri, deps).manifest.digest == back.digest


def test_a_model_below_the_gate_is_refused_with_its_report(config: dict[str, Any], deps: Deps) -> None:
    strict = {**config, "name": "weak", "gate": {"min": 0.999}}
    with pytest.raises(GateRefusedError, match=r"must be at least 0\.999") as caught:
        run(deps, "release", **strict)
    assert "Not released" in deps.store.read_bytes(caught.value.details["report"]).decode()
    assert open_registry({"type": "memory"}, deps).aliased("weak", "champion") is None
    with pytest.raises(GateRefusedError):
        run(deps, "release", **strict)


def test_a_model_worse_than_the_champion_is_refused(other: dict[str, Any], released: Any, deps: Deps) -> None:
    with pytest.raises(GateRefusedError, match="worse than the standing"):
        run(deps, "release", **{**other, "gate": {"max_drop": 0.0}})
    assert open_registry({"type": "memory"}, deps).aliased("late", "champion").digest == released.model_digest


def test_an_evaluation_of_another_model_is_refused(config: dict[str, Any], other: dict[str, Any], deps: Deps) -> None:
    with pytest.raises(ConfigError, match="judged another model"):
        run(deps, "release", **{**config, "evaluation": other["evaluation"]})


def test_an_evaluation_on_validation_is_refused(config: dict[str, Any], deps: Deps) -> None:
    evaluation = run(deps, "evaluate", dataset=config["features"], model=config["model"]).uri
    with pytest.raises(ConfigError, match="'validation' part"):
        run(deps, "release", **{**config, "evaluation": evaluation})


@pytest.mark.parametrize("alias", ["previous", "latest", "v1", "a b", ""])
def test_an_impossible_alias_is_refused(alias: str, config: dict[str, Any], deps: Deps) -> None:
    with pytest.raises(ConfigError, match="alias"):
        run(deps, "release", **{**config, "alias": alias})


def test_a_version_carries_what_live_data_is_compared_with(deps: Deps, released: Any, tmp_path: Path) -> None:
    registry = open_registry({"type": "memory"}, deps)
    version = registry.aliased("late", "champion")
    [path] = registry.fetch(version, ["profile.json"], tmp_path)
    profile = Profile.from_document(json.loads(path.read_bytes()))
    # Of 400 training and 400 held-out rows, every fourth chose the bins.
    assert {column.rows for column in profile.columns.values()} == {300}
    assert {answers.rows for answers in profile.answers.values()} == {300}
    assert profile.columns["carrier"].missing > 0
    assert profile.truth.rows == 200
