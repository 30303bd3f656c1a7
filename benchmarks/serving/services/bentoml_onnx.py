"""The peer's service: the same graph in a BentoML service, columns as JSON lists."""

from __future__ import annotations

import os
from typing import Any

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service(workers=1)
class Served:
    """One ONNX graph whose inputs are the request's columns."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(os.environ["BENCH_ONNX"], options)
        types = {"tensor(string)": object, "tensor(double)": np.float64, "tensor(int64)": np.int64}
        self._types = {each.name: types.get(each.type, np.bool_) for each in self._session.get_inputs()}

    @bentoml.api
    def predict(self, columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Run it."""
        feeds = {name: np.array(values, dtype=self._types[name]) for name, values in columns.items()}
        probability, label = self._session.run(["probability", "label"], feeds)
        return {"probability": probability.tolist(), "label": label.tolist()}
