"""The peer's service: the same graph in an MLServer runtime, as its documentation shows a custom one."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    """One ONNX graph whose inputs are the request's tensors."""

    async def load(self) -> bool:
        """Load the graph."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(os.environ["BENCH_ONNX"], options)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run it."""
        feeds = {}
        for each in payload.inputs:
            if each.datatype == "BYTES":
                feeds[each.name] = np.array(StringCodec.decode_input(each), dtype=object)
            else:
                feeds[each.name] = NumpyCodec.decode_input(each)
        probability, label = self._session.run(["probability", "label"], feeds)
        outputs = [NumpyCodec.encode_output("probability", probability), NumpyCodec.encode_output("label", label)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
