"""What the scikit-learn families have in common: scoring, keeping, exporting one fitted estimator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from aimass.core.models.base import floor_to_float32, require_finite
from aimass.core.models.onnx_graph import ML_OPSET, OPSET, from_classifier
from aimass.core.models.skops_file import load_estimator, save_estimator

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import onnx

FILE_NAME = "model.skops"


class EstimatorModel:
    """A scikit-learn classifier behind the `ModelFamily` protocol; a family adds its settings, `space` and `fit`."""

    accepts_missing: ClassVar[bool] = False
    """scikit-learn's trees take NaN, but their ONNX export then flips labels without a word."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.estimator_: Any = None

    def predict_proba(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the probability of the positive class, shape (n_rows,)."""
        require_finite(X, family=type(self).__name__)
        probability: npt.NDArray[np.float64] = self.estimator_.predict_proba(X)[:, 1]
        return probability

    def importance(self) -> npt.NDArray[np.float64]:
        """Return the mean decrease in impurity by feature, as shares of 1."""
        importance: npt.NDArray[np.float64] = self.estimator_.feature_importances_
        return importance

    def save(self, folder: Path) -> list[str]:
        """Write the estimator as a skops file."""
        save_estimator(self.estimator_, folder / FILE_NAME)
        return [FILE_NAME]

    @classmethod
    def load(cls, folder: Path, settings: Any) -> Self:
        """Read back what `save` wrote."""
        model = cls(settings)
        model.estimator_ = load_estimator(folder / FILE_NAME)
        return model

    def to_onnx(self, n_features: int) -> onnx.ModelProto:
        """Return the estimator as a tree ensemble."""
        import skl2onnx
        from skl2onnx.common.data_types import FloatTensorType

        exported = skl2onnx.convert_sklearn(
            self.estimator_,
            initial_types=[("X", FloatTensorType([None, n_features]))],
            target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
            options={"zipmap": False},
        )
        return from_classifier(exported, n_features)


def round_thresholds(tree: Any) -> None:
    """Make the thresholds of a fitted scikit-learn tree exact in float32; its predictions stay the same."""
    inner = tree.tree_
    inner.threshold[:] = floor_to_float32(inner.threshold)
