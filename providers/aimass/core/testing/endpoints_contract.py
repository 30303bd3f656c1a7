"""The contract that every endpoint keeps."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from aimass.core.endpoints.base import Endpoint, LateLabel
from aimass.core.errors import NotFoundError
from aimass.core.features.raw import RawColumn
from aimass.core.release.base import ModelRegistry, Package
from aimass.core.storage import file_digest
from aimass.core.testing.model_registry_contract import tiny_package

ROW: dict[str, Any] = {"origin": "JFK", "distance": 0.5}
COLUMNS = (
    RawColumn(name="origin", type="string", kind="string"),
    RawColumn(name="distance", type="double", kind="float"),
)


def served_package(folder: Path, name: str, bias: float) -> Package:
    """Return a package that a server can serve: a probability from one text and one number, and a label at a half.

    The answer to `ROW` is ``sigmoid(bias + 0.5)``; a missing distance counts as 0, and a bias of NaN spoils every
    answer.
    """
    package = tiny_package(folder, name, bias)
    model = onnx.load(str(package.onnx_file))
    for constant, value in (("threshold", 0.5), ("nothing", 0.0)):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, dtype=np.float32), constant))
    code, far, total, probability = model.graph.node
    total.input[1] = "known"
    nodes = [
        code,
        far,
        helper.make_node("IsNaN", ["far"], ["missing"]),
        helper.make_node("Where", ["missing", "nothing", "far"], ["known"]),
        total,
        probability,
        helper.make_node("GreaterOrEqual", ["probability", "threshold"], ["positive"]),
        helper.make_node("Cast", ["positive"], ["label"], to=TensorProto.INT64),
    ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]))
    helper.set_model_props(model, {"aimass.classes": '["no", "yes"]', "aimass.threshold": "0.5"})
    path = folder / f"served-{bias}.onnx"
    onnx.save_model(model, str(path))
    graph = folder / "graph.json"
    raw = [column.model_dump(mode="json") for column in COLUMNS]
    graph.write_text(json.dumps({"format_version": 1, "raw": raw, "clean": [], "features": [], "outputs": []}))
    files = {**package.files, "graph.json": graph}
    return replace(package, onnx_file=path, digest=file_digest(path), files=files)


class EndpointContract:
    """What every endpoint promises; a subclass has the fixtures `registry`, which it fills, and `endpoint`.

    The endpoint's server watches that registry; each test has a model of its own.
    """

    @pytest.fixture
    def name(self, request: pytest.FixtureRequest) -> str:
        """Return the name of the test's own model."""
        return str(request.node.name)

    @pytest.fixture
    def released(self, registry: ModelRegistry, name: str, tmp_path: Path) -> ModelRegistry:
        """Return the registry with two versions of the model, the first one in use."""
        for bias in (0.25, 0.75):
            registry.register(served_package(tmp_path, name, bias))
        registry.set_alias(name, "champion", "1")
        return registry

    def test_it_is_ready(self, endpoint: Endpoint) -> None:
        """And says who it is."""
        assert endpoint.is_ready()
        status = endpoint.status()
        assert status.server_id
        assert not status.draining

    def test_it_serves_what_the_alias_points_at(self, endpoint: Endpoint, released: ModelRegistry, name: str) -> None:
        """After a look at the registry, with the digest that was registered."""
        served = endpoint.sync().model(name)
        assert served is not None
        assert served.aliases["champion"] == "1"
        found = released.version(name, "1")
        version = served.named("1")
        assert found is not None
        assert version is not None
        assert (version.state, version.digest) == ("ready", found.digest)

    def test_it_follows_the_alias(self, endpoint: Endpoint, released: ModelRegistry, name: str) -> None:
        """A second look at the same registry changes nothing."""
        before = endpoint.sync()
        released.set_alias(name, "champion", "2")
        after, again = endpoint.sync(), endpoint.sync()
        served = after.model(name)
        assert served is not None
        assert served.aliases["champion"] == "2"
        assert before.generation < after.generation == again.generation

    def test_it_answers_rows(self, endpoint: Endpoint, released: ModelRegistry, name: str) -> None:
        """With the version of the alias, in the order of the rows."""
        endpoint.sync()
        answer = endpoint.predict(name, [ROW, {"origin": "LGA", "distance": -2}])
        assert (answer["model"], answer["version"], answer["alias"]) == (name, "1", "champion")
        assert answer["request_id"]
        assert [one["label"] for one in answer["predictions"]] == ["yes", "no"]
        assert [one["probability"] for one in answer["predictions"]] == pytest.approx([0.679179, 0.119203], abs=1e-5)

    def test_labels_may_come_later(self, endpoint: Endpoint, released: ModelRegistry, name: str) -> None:
        """As the training data spells them, or as 0 and 1."""
        endpoint.sync()
        request_id = endpoint.predict(name, [ROW, ROW])["request_id"]
        endpoint.label(
            name, [LateLabel(request_id=request_id, label="no"), LateLabel(request_id=request_id, row=1, label=1)]
        )

    def test_a_version_is_tried_beside_the_one_in_use(
        self, endpoint: Endpoint, released: ModelRegistry, name: str
    ) -> None:
        """The alias stays where it is."""
        endpoint.sync()
        endpoint.predict(name, [ROW] * 5)
        report = endpoint.shadow(name, "2", rows=5)
        assert (report.version, report.against, report.ok) == ("2", "1", True)
        if report.source == "recent":
            assert report.rows == 5
            assert report.mean_abs_diff == pytest.approx(0.098, abs=1e-3)
        served = endpoint.status().model(name)
        assert served is not None
        assert served.aliases["champion"] == "1"

    def test_a_version_is_loaded_and_unloaded(self, endpoint: Endpoint, released: ModelRegistry, name: str) -> None:
        """Without an alias."""
        endpoint.sync()
        loaded = endpoint.load(name, "2").model(name)
        assert loaded is not None
        assert getattr(loaded.named("2"), "state", None) == "ready"
        unloaded = endpoint.unload(name, "2").model(name)
        assert unloaded is not None
        assert getattr(unloaded.named("2"), "state", "draining") == "draining"

    def test_what_is_unknown_is_not_found(self, endpoint: Endpoint, released: ModelRegistry, name: str) -> None:
        """Models and versions alike."""
        endpoint.sync()
        with pytest.raises(NotFoundError, match="nobody"):
            endpoint.predict("nobody", [ROW])
        with pytest.raises(NotFoundError, match="99"):
            endpoint.load(name, "99")
        with pytest.raises(NotFoundError, match="99"):
            endpoint.shadow(name, "99")
        with pytest.raises(NotFoundError, match="nobody"):
            endpoint.label("nobody", [LateLabel(request_id="x", label=1)])

    def test_samples_are_those_after_a_time(self, endpoint: Endpoint) -> None:
        """Oldest first."""
        found = endpoint.samples()
        assert found == sorted(found, key=lambda sample: sample.at)
        assert all(sample.at.tzinfo is not None for sample in found)
        assert endpoint.samples(datetime(2999, 1, 1, tzinfo=UTC)) == []
