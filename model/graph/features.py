"""The features of an archive's network, the input of its linear layer; without torch. The pooling's
tensor becomes another output of the graph.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.serving.class_activation import POOLINGS
from model.serving.onnx_graph import nodes_of, with_outputs
from model.serving.onnx_runtime import onnxruntime


class OnnxFeatures:
    """Computes features on all cores.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no graph with a pooling.
    """

    def __init__(self, weights: Path) -> None:
        content = weights.read_bytes()
        self._output = pooled_output(content)
        options = onnxruntime.SessionOptions()
        # Threads that wait in a busy loop would slow down those that decode photos.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            with_outputs(content, self._output), options, ["CPUExecutionProvider"]
        )

    def __call__(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Computes float32 [n, d] of uint8 [n, size, size, 3]."""
        (pooled,) = self._session.run([self._output], {"images": images})
        features: npt.NDArray[np.float32] = pooled.reshape(len(images), -1)
        return features


def pooled_output(content: bytes) -> str:
    """Returns the name of the last pooling's output.

    Raises:
        ValueError: the bytes are no graph of ONNX, or it has no pooling.
    """
    name = ""
    for node in nodes_of(content):
        if node.kind in POOLINGS and node.outputs:
            name = node.outputs[0]
    if not name:
        raise ValueError("the graph has no pooling whose output could be features")
    return name
