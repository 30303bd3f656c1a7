"""Logistic regression of scikit-learn on standardised features."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from aimass.core.matrix import Matrix
from aimass.core.models.base import Dimension, ModelSettings, StepCallback, class_weights, require_finite
from aimass.core.models.estimator import EstimatorModel
from aimass.core.models.onnx_graph import FEATURES, PROBABILITY, build

if TYPE_CHECKING:
    import onnx


class LogisticRegressionSettings(ModelSettings):
    """Hyper-parameters of a logistic regression with an L2 penalty."""

    C: float = Field(default=1.0, gt=0, le=1e6, description="Inverse of the penalty's strength.")
    max_iter: int = Field(default=500, ge=10, le=100_000, description="Most steps of the solver (lbfgs).")


class LogisticRegression(EstimatorModel):
    """A linear model of the log-odds; features are standardised first, since the penalty counts them all alike."""

    Settings: ClassVar[type[LogisticRegressionSettings]] = LogisticRegressionSettings

    @classmethod
    def space(cls) -> list[Dimension]:
        """Return the hyper-parameters worth searching."""
        return [
            Dimension(name="C", kind="float", low=1e-4, high=1e2, log=True),
            Dimension(name="class_weight", kind="categorical", choices=(None, "balanced")),
        ]

    def fit(self, train: Matrix, validation: Matrix | None, *, seed: int, on_step: StepCallback | None = None) -> None:
        """Fit on `train` in float64; there are no steps to report."""
        from sklearn.linear_model import LogisticRegression as Estimator
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import StandardScaler

        require_finite(train.X, train.names, family="logistic_regression")
        linear = Estimator(C=self.settings.C, max_iter=self.settings.max_iter, random_state=seed)
        pipeline = Pipeline([("scale", StandardScaler()), ("linear", linear)])
        weights = class_weights(train.y, self.settings.class_weight)
        self.estimator_ = pipeline.fit(train.X.astype(np.float64), train.y, linear__sample_weight=weights)

    def predict_proba(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the probability of the positive class, shape (n_rows,)."""
        return super().predict_proba(X.astype(np.float64))

    def importance(self) -> npt.NDArray[np.float64]:
        """Return the absolute coefficients of the standardised features, as shares of 1."""
        size: npt.NDArray[np.float64] = np.abs(self.estimator_["linear"].coef_[0])
        total = size.sum()
        return size / total if total else size

    def to_onnx(self, n_features: int) -> onnx.ModelProto:
        """Return the model as float64 arithmetic.

        skl2onnx would standardise in float32, and features far from zero would lose their digits there.
        """
        from onnx import TensorProto, helper, numpy_helper

        scaler, linear = self.estimator_["scale"], self.estimator_["linear"]
        constants = {
            "mean": scaler.mean_,
            "inverse_scale": 1.0 / scaler.scale_,
            "coefficients": linear.coef_[0],
            "intercept": linear.intercept_[0],
        }
        node = helper.make_node
        nodes = [
            node("Cast", [FEATURES], ["wide"], to=TensorProto.DOUBLE),
            node("Sub", ["wide", "mean"], ["centred"]),
            node("Mul", ["centred", "inverse_scale"], ["scaled"]),
            node("MatMul", ["scaled", "coefficients"], ["sum"]),
            node("Add", ["sum", "intercept"], ["log_odds"]),
            node("Sigmoid", ["log_odds"], ["likely"]),
            node("Cast", ["likely"], [PROBABILITY], to=TensorProto.FLOAT),
        ]
        tensors = [numpy_helper.from_array(np.asarray(value, np.float64), name) for name, value in constants.items()]
        return build(nodes, tensors, n_features)
