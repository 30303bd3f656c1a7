"""The contract that every model registry keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from aimass.core.deps import Deps
from aimass.core.errors import CorruptDataError, NotFoundError
from aimass.core.release.base import BAD_TAG, PROJECT_TAG, Package
from aimass.core.release.ledger import Ledger
from aimass.core.release.promotion import open_registry, promote
from aimass.core.release.rollback import RollbackRequest, choose, move
from aimass.core.storage import file_digest
from aimass.core.tracking.connection import tracking_uri


def tiny_package(folder: Path, name: str, bias: float) -> Package:
    """Return a package whose graph has one string and one number, whose digest depends on `bias`."""
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["origin"],
            ["code"],
            domain="ai.onnx.ml",
            keys_strings=["JFK"],
            values_floats=[bias],
            default_float=0.0,
        ),
        helper.make_node("Cast", ["distance"], ["far"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["code", "far"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["probability"]),
    ]
    graph = helper.make_graph(
        nodes,
        "late",
        [
            helper.make_tensor_value_info("origin", TensorProto.STRING, ["N"]),
            helper.make_tensor_value_info("distance", TensorProto.DOUBLE, ["N"]),
        ],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["N"])],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    path = folder / f"model-{bias}.onnx"
    onnx.save_model(helper.make_model(graph, opset_imports=opsets, ir_version=10), str(path))
    card = folder / "README.md"
    card.write_text(f"# {name}")
    return Package(
        name=name,
        digest=file_digest(path),
        onnx_file=path,
        example={"origin": np.array(["JFK", "LGA"], dtype=object), "distance": np.array([1.0, np.nan])},
        files={"README.md": card, "native/model.txt": card},
        tags={"aimass.dataset": "abc"},
        metrics={"auc": 0.66},
        description="A test's model",
    )


class ModelRegistryContract:
    """What every model registry promises; a subclass names its `kind` and has a fixture `deps` on one store."""

    kind: ClassVar[str]

    @pytest.fixture
    def registry(self, deps: Deps) -> Any:
        """Return the registry."""
        return open_registry({"type": self.kind}, deps)

    def test_registering_twice_leaves_one_version(self, registry: Any, tmp_path: Path) -> None:
        """The same bytes are registered once."""
        one = tiny_package(tmp_path, "once", 0.25)
        first, second = registry.register(one), registry.register(one)
        assert first.version == second.version == "1"
        assert registry.find("once", one.digest).digest == one.digest
        assert first.tags["aimass.dataset"] == "abc"

    def test_another_digest_is_another_version(self, registry: Any, tmp_path: Path) -> None:
        """Other bytes are another version."""
        versions = [registry.register(tiny_package(tmp_path, "twice", bias)).version for bias in (0.25, 0.5)]
        assert versions == ["1", "2"]

    def test_what_is_unknown_is_none(self, registry: Any) -> None:
        """What nobody registered is None, not an error."""
        assert registry.find("nobody", "0" * 64) is None
        assert registry.aliased("nobody", "champion") is None
        assert registry.model("nobody") is None
        assert registry.versions("nobody") == []

    def test_models_are_listed_with_their_pipeline_and_aliases(self, registry: Any, deps: Deps, tmp_path: Path) -> None:
        """Whoever shows models asks once for all of them; a dot in a name is a letter like another."""
        for name in ("listed.b", "listed.a"):
            version = registry.register(tiny_package(tmp_path, name, 0.25))
        registry.set_alias("listed.a", "champion", version.version)
        listed = [model for model in registry.models() if model.name.startswith("listed.")]
        assert [(model.name, model.project, model.aliases) for model in listed] == [
            ("listed.a", deps.project, {"champion": "1"}),
            ("listed.b", deps.project, {}),
        ]
        assert listed[0].tags[PROJECT_TAG] == deps.project
        assert registry.model("listed.a") == listed[0]

    def test_versions_are_listed_newest_first(self, registry: Any, tmp_path: Path) -> None:
        """With tags, digest and the time at which they were registered; no more than asked for."""
        packages = [tiny_package(tmp_path, "lined_up", bias) for bias in (0.25, 0.5, 0.75)]
        for package in packages:
            registry.register(package)
        found = registry.versions("lined_up")
        assert [one.version for one in found] == ["3", "2", "1"]
        assert [one.digest for one in found] == [package.digest for package in reversed(packages)]
        assert found[0].tags["aimass.dataset"] == "abc"
        assert all(abs(datetime.now(UTC) - one.created_at) < timedelta(minutes=5) for one in found)
        assert [one.version for one in registry.versions("lined_up", limit=2)] == ["3", "2"]

    def test_an_alias_moves_and_may_be_set_again(self, registry: Any, tmp_path: Path) -> None:
        """Setting an alias is idempotent."""
        first, second = (registry.register(tiny_package(tmp_path, "moving", bias)) for bias in (0.25, 0.5))
        assert registry.aliased("moving", "champion") is None
        for version in (first, second, second):
            registry.set_alias("moving", "champion", version.version)
            assert registry.aliased("moving", "champion").version == version.version

    def test_an_alias_needs_a_version(self, registry: Any, tmp_path: Path) -> None:
        """An alias never points at nothing."""
        registry.register(tiny_package(tmp_path, "short", 0.25))
        with pytest.raises(NotFoundError, match=r"'short'.*99"):
            registry.set_alias("short", "champion", "99")

    def test_tags_are_added_and_replaced(self, registry: Any, tmp_path: Path) -> None:
        """Tags that are not named stay."""
        version = registry.register(tiny_package(tmp_path, "tagged", 0.25))
        registry.set_tags("tagged", version.version, {"a": "1", "b": "2"})
        registry.set_tags("tagged", version.version, {"a": "3"})
        tags = registry.find("tagged", version.digest).tags
        assert (tags["a"], tags["b"], tags["aimass.dataset"]) == ("3", "2", "abc")

    def test_a_tag_that_is_set_to_none_is_gone(self, registry: Any, tmp_path: Path) -> None:
        """Of versions and of models alike; taking away what is not there changes nothing."""
        version = registry.register(tiny_package(tmp_path, "untagged", 0.25))
        for _ in range(2):
            registry.set_tags("untagged", version.version, {"aimass.dataset": None, "b": "2"})
            registry.set_model_tags("untagged", {"traffic": "0.5", "off": None})
        assert "aimass.dataset" not in registry.version("untagged", "1").tags
        assert registry.version("untagged", "1").tags["b"] == "2"
        assert registry.model("untagged").tags["traffic"] == "0.5"
        registry.set_model_tags("untagged", {"traffic": None})
        assert "traffic" not in registry.model("untagged").tags

    def test_tags_need_what_they_are_of(self, registry: Any, tmp_path: Path) -> None:
        """Nothing is tagged that does not exist."""
        registry.register(tiny_package(tmp_path, "tag_owner", 0.25))
        with pytest.raises(NotFoundError, match="tag_owner"):
            registry.set_tags("tag_owner", "99", {"a": "1"})
        with pytest.raises(NotFoundError, match="nobody"):
            registry.set_model_tags("nobody", {"a": "1"})

    def test_a_version_is_found_by_its_number(self, registry: Any, tmp_path: Path) -> None:
        """What is unknown is None."""
        first = registry.register(tiny_package(tmp_path, "numbered", 0.25))
        assert registry.version("numbered", first.version) == first
        assert [registry.version(*address) for address in (("numbered", "2"), ("numbered", "x"), ("nobody", "1"))] == [
            None,
            None,
            None,
        ]

    def test_an_alias_may_be_taken_away(self, registry: Any, tmp_path: Path) -> None:
        """Twice, too; the version stays."""
        registry.register(tiny_package(tmp_path, "freed", 0.25))
        registry.set_alias("freed", "challenger", "1")
        for _ in range(2):
            registry.delete_alias("freed", "challenger")
            assert registry.aliased("freed", "challenger") is None
        assert registry.version("freed", "1") is not None
        with pytest.raises(NotFoundError, match="nobody"):
            registry.delete_alias("nobody", "challenger")

    def test_files_of_a_version_are_fetched(self, registry: Any, tmp_path: Path) -> None:
        """Byte by byte, by their paths inside the version; again over what is there."""
        package = tiny_package(tmp_path, "fetched", 0.25)
        version = registry.register(package)
        folder = tmp_path / "cache" / "fetched"
        for _ in range(2):
            graph, native = registry.fetch(version, ["model.onnx", "native/model.txt"], folder)
        assert (graph, native) == (folder / "model.onnx", folder / "native" / "model.txt")
        assert graph.read_bytes() == package.onnx_file.read_bytes()
        assert native.read_bytes() == package.files["native/model.txt"].read_bytes()
        assert sorted(path.name for path in folder.iterdir()) == ["model.onnx", "native"]

    @pytest.mark.parametrize("file", ["nothing.json", "nowhere/nothing.json"])
    def test_a_file_that_a_version_lacks_is_named(self, registry: Any, tmp_path: Path, file: str) -> None:
        """Nothing is fetched then."""
        version = registry.register(tiny_package(tmp_path, "lacking", 0.25))
        with pytest.raises(NotFoundError, match=f"no file '{file}'"):
            registry.fetch(version, ["model.onnx", file], tmp_path / "cache")
        assert not (tmp_path / "cache" / "model.onnx").exists()

    def test_a_graph_of_another_digest_is_refused(self, registry: Any, tmp_path: Path) -> None:
        """Whoever changed the artifact changed the model."""
        version = registry.register(tiny_package(tmp_path, "changed", 0.25))
        with pytest.raises(CorruptDataError, match=r"model.onnx of models:/changed/1.*000000000000"):
            registry.fetch(replace(version, digest="0" * 64), ["model.onnx"], tmp_path / "cache")
        assert not (tmp_path / "cache" / "model.onnx").exists()

    def test_promotion_keeps_previous_and_the_ledger(self, registry: Any, deps: Deps, tmp_path: Path) -> None:
        """A promotion remembers whom it replaced, and why; repeating it changes nothing."""
        for bias in (0.25, 0.5, 0.5):
            done = promote(
                registry, deps, tiny_package(tmp_path, "promoted", bias), alias="champion", why=f"bias {bias}"
            )
        assert registry.aliased("promoted", "champion").version == done.version.version == "2"
        assert registry.aliased("promoted", "previous").version == "1"
        assert [(move.old_version, move.new_version) for move in Ledger(deps, "promoted").entries()] == [
            (None, "1"),
            ("1", "2"),
        ]
        assert "bias 0.5" in registry.find("promoted", done.version.digest).tags["aimass.moved.champion"]

    def test_a_rollback_leaves_a_mark_and_the_alias_behind(self, registry: Any, deps: Deps, tmp_path: Path) -> None:
        """Once or twice: the alias is back, the version that it left says why, and may be accepted again."""
        for bias in (0.25, 0.5):
            promote(registry, deps, tiny_package(tmp_path, "rolled_back", bias), alias="champion", why="a test")
        request = RollbackRequest(model="rolled_back", why="it got worse")
        for _ in range(2):
            plan = choose(request, registry, deps)
            assert plan is not None
            move(plan, registry, deps)
        assert registry.model("rolled_back").aliases == {"champion": "1"}
        assert "it got worse" in registry.version("rolled_back", "2").tags[BAD_TAG]
        mended = tiny_package(tmp_path, "rolled_back", 0.5)
        promote(registry, deps, mended, alias="champion", why="it is mended", accept_rolled_back=True)
        assert BAD_TAG not in registry.version("rolled_back", "2").tags

    def test_clients_load_the_alias_by_pyfunc(self, registry: Any, deps: Deps, tmp_path: Path) -> None:
        """What users do: load ``models:/name@champion``, predict the example, one row, and a missing value."""
        if self.kind == "memory":
            pytest.skip("the registry in memory has nothing that MLflow could load")
        import mlflow.pyfunc

        promote(registry, deps, tiny_package(tmp_path, "loaded", 0.25), alias="champion", why="a test")
        mlflow.set_tracking_uri(tracking_uri(deps))
        model = mlflow.pyfunc.load_model("models:/loaded@champion")
        expected = 1 / (1 + np.exp([-1.25, np.nan]))
        assert model.predict(model.input_example)["probability"] == pytest.approx(expected, rel=1e-6, nan_ok=True)
        row = {"origin": np.array(["LGA"], dtype=object), "distance": np.array([0.0])}
        assert model.predict(row)["probability"] == pytest.approx([0.5])
        assert [one.name for one in model.metadata.signature.inputs.inputs] == ["origin", "distance"]
