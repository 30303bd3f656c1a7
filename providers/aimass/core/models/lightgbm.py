"""Gradient-boosted trees of LightGBM."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aimass.core.errors import CorruptDataError
from aimass.core.matrix import Matrix
from aimass.core.models.base import (
    Dimension,
    ModelSettings,
    StepCallback,
    class_weights,
    floor_to_float32,
    thread_count,
)
from aimass.core.models.onnx_graph import from_boosted_trees

if TYPE_CHECKING:
    import onnx

FILE_NAME = "model.txt"
# LightGBM's names of the metrics, and ours.
LIVE_METRICS = {"auc": "auc", "binary_logloss": "log_loss", "average_precision": "average_precision"}
EXPORTER_OPSET = 15
"""The highest operator set that onnxmltools writes; the graph is declared anew afterwards."""


class LightGBMSettings(ModelSettings):
    """Hyper-parameters of LightGBM whose ONNX export is exact."""

    unexportable: ClassVar[Mapping[str, str]] = {
        "boosting": "boosting=rf changes 28,134 of 50,000 labels; gradient boosting (gbdt) is always used",
        "boosting_type": "boosting=rf changes 28,134 of 50,000 labels; gradient boosting (gbdt) is always used",
        "linear_tree": "probabilities differ by more than 1",
        "zero_as_missing": "1,705 of 50,000 labels change",
    }

    n_estimators: int = Field(default=300, ge=1, le=100_000, description="Most trees; early stopping may keep fewer.")
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="Weight of each tree.")
    num_leaves: int = Field(default=31, ge=2, le=4096, description="Most leaves of a tree.")
    max_depth: int | None = Field(
        default=None, ge=1, le=64, description="Greatest depth of a tree; empty for no limit."
    )
    min_child_samples: int = Field(default=50, ge=1, description="Least number of training rows in a leaf.")
    subsample: float = Field(default=1.0, gt=0, le=1, description="Share of the rows that each tree draws.")
    colsample_bytree: float = Field(default=1.0, gt=0, le=1, description="Share of the features that each tree draws.")
    reg_alpha: float = Field(default=0.0, ge=0, le=1e6, description="L1 penalty on the leaves' values.")
    reg_lambda: float = Field(default=0.0, ge=0, le=1e6, description="L2 penalty on the leaves' values.")
    max_bin: int = Field(default=255, ge=2, le=65_535, description="Most bins of a feature's histogram.")
    early_stopping_rounds: int | None = Field(
        default=30, ge=1, description="Stop after so many rounds without progress on validation; empty: never."
    )
    early_stopping_metric: Literal["auc", "log_loss", "average_precision"] = Field(
        default="auc", description="The metric on validation that early stopping follows."
    )
    n_jobs: int | None = Field(default=None, ge=1, le=1024, description="Threads; empty for every core.")


class LightGBM:
    """Trees that each correct the sum of the earlier ones; takes missing values as they are."""

    Settings: ClassVar[type[LightGBMSettings]] = LightGBMSettings
    accepts_missing: ClassVar[bool] = True

    def __init__(self, settings: LightGBMSettings) -> None:
        self.settings = settings
        self.booster_: Any = None

    @classmethod
    def space(cls) -> list[Dimension]:
        """Return the hyper-parameters worth searching."""
        return [
            Dimension(name="learning_rate", kind="float", low=0.01, high=0.3, log=True),
            Dimension(name="num_leaves", kind="int", low=7, high=255, log=True),
            Dimension(name="min_child_samples", kind="int", low=5, high=300, log=True),
            Dimension(name="subsample", kind="float", low=0.5, high=1.0),
            Dimension(name="colsample_bytree", kind="float", low=0.4, high=1.0),
            Dimension(name="reg_lambda", kind="float", low=1e-3, high=100.0, log=True),
        ]

    def fit(self, train: Matrix, validation: Matrix | None, *, seed: int, on_step: StepCallback | None = None) -> None:
        """Boost on `train`; stop early by `validation`, and report its metrics after each round."""
        import lightgbm

        weight = class_weights(train.y, self.settings.class_weight)
        dataset = lightgbm.Dataset(train.X, train.y, weight=weight, params={"verbose": -1}, free_raw_data=False)
        valid_sets = []
        if validation is not None:
            valid_sets = [lightgbm.Dataset(validation.X, validation.y, reference=dataset)]
        booster = lightgbm.train(
            self._parameters(seed),
            dataset,
            num_boost_round=self.settings.n_estimators,
            valid_sets=valid_sets,
            valid_names=["validation"] * len(valid_sets),
            callbacks=self._callbacks(on_step, has_validation=validation is not None),
        )
        self.booster_ = _with_float32_thresholds(booster)

    def predict_proba(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the probability of the positive class, shape (n_rows,)."""
        threads = thread_count(self.settings.n_jobs)
        probability: npt.NDArray[np.float64] = self.booster_.predict(X, num_threads=threads)
        return probability

    def importance(self) -> npt.NDArray[np.float64]:
        """Return the total gain by feature, as shares of 1."""
        gain: npt.NDArray[np.float64] = self.booster_.feature_importance(importance_type="gain").astype(np.float64)
        total = gain.sum()
        return gain / total if total else gain

    def save(self, folder: Path) -> list[str]:
        """Write the booster in LightGBM's own text format."""
        (folder / FILE_NAME).write_text(self.booster_.model_to_string(), encoding="utf-8")
        return [FILE_NAME]

    @classmethod
    def load(cls, folder: Path, settings: Any) -> Self:
        """Read back what `save` wrote."""
        import lightgbm

        model = cls(settings)
        text = (folder / FILE_NAME).read_text(encoding="utf-8")
        try:
            model.booster_ = lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise CorruptDataError(f"{FILE_NAME} is not a LightGBM model: {error}", expected="a model file") from error
        return model

    def to_onnx(self, n_features: int) -> onnx.ModelProto:
        """Return the booster as a tree ensemble."""
        from onnxmltools.convert import convert_lightgbm
        from onnxmltools.convert.common.data_types import FloatTensorType

        exported = convert_lightgbm(
            self.booster_,
            initial_types=[("X", FloatTensorType([None, n_features]))],
            target_opset=EXPORTER_OPSET,
            zipmap=False,
        )
        return from_boosted_trees(exported, n_features)

    def _parameters(self, seed: int) -> dict[str, Any]:
        chosen = self.settings.model_dump(
            exclude={"class_weight", "n_estimators", "n_jobs", "early_stopping_rounds", "early_stopping_metric"}
        )
        return {
            **chosen,
            "max_depth": self.settings.max_depth or -1,
            "bagging_freq": 1 if self.settings.subsample < 1 else 0,
            "objective": "binary",
            # Early stopping follows the first one.
            "metric": sorted(LIVE_METRICS, key=lambda name: LIVE_METRICS[name] != self.settings.early_stopping_metric),
            "seed": seed,
            "num_threads": thread_count(self.settings.n_jobs),
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }

    def _callbacks(self, on_step: StepCallback | None, *, has_validation: bool) -> list[Any]:
        import lightgbm

        callbacks: list[Any] = []
        if has_validation and on_step is not None:
            callbacks.append(lambda env: on_step(env.iteration + 1, _live_metrics(env)))
        rounds = self.settings.early_stopping_rounds
        if has_validation and rounds:
            callbacks.append(lightgbm.early_stopping(rounds, first_metric_only=True, verbose=False))
        return callbacks


def _live_metrics(env: Any) -> dict[str, float]:
    return {f"validation_{LIVE_METRICS[name]}": float(value) for _, name, value, _ in env.evaluation_result_list}


def _with_float32_thresholds(booster: Any) -> Any:
    """Return the same model with thresholds that float32 holds exactly, and without the number of threads."""
    import lightgbm

    text = re.sub(r"^threshold=(.*)$", _rounded, booster.model_to_string(), flags=re.MULTILINE)
    # The sizes of the trees' texts serve parallel reading only, and no longer fit.
    text = re.sub(r"^tree_sizes=.*\n|^\[num_threads: \d+\]\n", "", text, flags=re.MULTILINE)
    return lightgbm.Booster(model_str=text)


def _rounded(line: re.Match[str]) -> str:
    values = np.array(line.group(1).split(), dtype=np.float64)
    return "threshold=" + " ".join(repr(float(value)) for value in floor_to_float32(values))
