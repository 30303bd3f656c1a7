"""The contract that every model family keeps."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from aimass.core.errors import ConfigError, SchemaMismatchError
from aimass.core.matrix import Matrix
from aimass.core.models import MODELS
from aimass.core.models.base import ModelFamily
from aimass.core.models.onnx_graph import FEATURES, PROBABILITY
from aimass.core.settings import parse_settings

ABSOLUTE, RELATIVE = 1e-6, 1e-5
THRESHOLD, MARGIN = 0.5, 1e-5


def example_matrix(rows: int = 1500, *, seed: int = 0, missing: bool = False) -> Matrix:
    """Return six features that are hard on exporters, and a target that depends on them.

    Among them: values far from zero, whole numbers, a constant, and two neighbouring float32 values, between which a
    threshold has no float32 of its own.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 6)).astype(np.float32)
    X[:, 2] += 1e5
    X[:, 3] = rng.integers(0, 4, rows)
    X[:, 4] = 7
    X[:, 5] = np.where(rng.random(rows) < 0.5, np.float32(1), np.nextafter(np.float32(1), np.float32(2)))
    y = (X[:, 0] + X[:, 1] * (X[:, 3] - 1.5) + (X[:, 5] > 1) + rng.normal(size=rows) > 0.5).astype(np.int8)
    if missing:
        X[rng.random(rows) < 0.2, 0] = np.nan
    return Matrix(X, y, [f"feature_{index}" for index in range(6)], ["no", "yes"])


class ModelContract:
    """Subclass it and name the family; `settings` may make the model small, for speed."""

    family: str
    settings: dict[str, Any]

    def fitted(self, *, seed: int = 1, missing: bool = False, on_step: Any = None) -> ModelFamily:
        """Return a model fitted on the example."""
        family = MODELS.load(self.family)
        model = family(family.Settings(**self.settings))
        train, validation = example_matrix(missing=missing), example_matrix(500, seed=2, missing=missing)
        model.fit(train, validation, seed=seed, on_step=on_step)
        return model

    def test_equal_seeds_give_equal_files(self, tmp_path: Path) -> None:
        """The same data, settings and seed give the same bytes."""
        digests = []
        for attempt in ("first", "second"):
            folder = tmp_path / attempt
            folder.mkdir()
            names = self.fitted().save(folder)
            digests.append([hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names])
        assert digests[0] == digests[1]

    def test_saved_and_loaded_model_gives_equal_probabilities(self, tmp_path: Path) -> None:
        """Not nearly equal: equal."""
        model, X = self.fitted(), example_matrix(700, seed=3).X
        model.save(tmp_path)
        loaded = MODELS.load(self.family).load(tmp_path, parse_settings(model.Settings, self.settings, where="a test"))
        assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
        assert np.array_equal(loaded.importance(), model.importance())

    def test_files_are_no_pickles(self, tmp_path: Path) -> None:
        """A pickle starts with the protocol's opcode; a zip may hold one."""
        names = self.fitted().save(tmp_path)
        contents = [(tmp_path / name).read_bytes() for name in names]
        assert contents
        assert not [content for content in contents if content[:1] == b"\x80" or b".pkl" in content]

    def test_probabilities_are_probabilities(self) -> None:
        """Between 0 and 1, one per row, and better than guessing."""
        matrix = example_matrix(700, seed=3)
        probability = self.fitted().predict_proba(matrix.X)
        assert probability.shape == (700,)
        assert probability.min() >= 0
        assert probability.max() <= 1
        assert probability[matrix.y == 1].mean() > probability[matrix.y == 0].mean()

    def test_importance_is_shares_of_one(self) -> None:
        """One share per feature; the constant one has none."""
        importance = self.fitted().importance()
        assert importance.shape == (6,)
        assert np.isclose(importance.sum(), 1)
        assert importance[4] == 0

    def test_onnx_says_the_same(self) -> None:
        """On held-out rows, and on rows at and beside every float32 threshold there is."""
        model = self.fitted()
        self._assert_parity(model, _with_edges(example_matrix(1500, seed=4).X))

    def test_missing_values_are_understood_or_refused(self) -> None:
        """A family that accepts missing values exports them exactly; another names the feature and says what to do."""
        if MODELS.load(self.family).accepts_missing:
            X = example_matrix(1000, seed=5, missing=True).X
            X[:200] = np.nan
            X[200:300, 1] = np.inf
            X[300:400, 1] = -np.inf
            self._assert_parity(self.fitted(missing=True), X)
            self._assert_parity(self.fitted(), X)
            return
        with pytest.raises(SchemaMismatchError, match="fill") as raised:
            self.fitted(missing=True)
        assert raised.value.details["columns"] == ["feature_0"]

    def test_onnx_has_the_agreed_shape(self) -> None:
        """Input and output are called and typed as the release expects."""
        graph = self.fitted().to_onnx(6).graph
        assert [item.name for item in graph.input] == [FEATURES]
        assert [item.name for item in graph.output] == [PROBABILITY]

    def test_unexportable_settings_are_refused(self) -> None:
        """What the export cannot reproduce is refused before anything is fitted, with the reason."""
        settings = MODELS.load(self.family).Settings
        for name in getattr(settings, "unexportable", {}):
            with pytest.raises(ConfigError, match=f"{name}.*ONNX"):
                parse_settings(settings, {name: True}, where="a test")

    def test_space_fits_the_settings(self) -> None:
        """Every value that the search may pick is a valid setting."""
        family = MODELS.load(self.family)
        for dimension in family.space():
            values = dimension.choices or (dimension.low, dimension.high)
            for value in values:
                as_int = dimension.kind == "int"
                parse_settings(family.Settings, {dimension.name: int(value) if as_int else value}, where="a test")

    def _assert_parity(self, model: ModelFamily, X: npt.NDArray[np.float32]) -> None:
        import onnxruntime

        session = onnxruntime.InferenceSession(model.to_onnx(X.shape[1]).SerializeToString())
        online = session.run([PROBABILITY], {FEATURES: X})[0]
        native = model.predict_proba(X)
        assert online.dtype == np.float32
        assert online.shape == native.shape
        difference = np.abs(online - native)
        assert (difference <= ABSOLUTE + RELATIVE * np.abs(native)).all(), f"max difference {difference.max()}"
        flips = ((online >= THRESHOLD) != (native >= THRESHOLD)) & (np.abs(native - THRESHOLD) > MARGIN)
        assert not flips.any()


def _with_edges(X: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return `X`, each row followed by its neighbours in float32: half-way thresholds lie between them."""
    up, down = np.float32(np.inf), np.float32(-np.inf)
    return np.concatenate([X, np.nextafter(X, up), np.nextafter(X, down), (X + np.roll(X, 1, axis=0)) / 2])
