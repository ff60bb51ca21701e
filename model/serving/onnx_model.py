"""The model: a session of ONNX Runtime on one thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.serving.onnx_runtime import onnxruntime

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scores:
    """The model's outputs for n images.

    Attributes:
        probabilities: float32 ``[n, labels]``.
        known: float32 ``[n]``, the softmax mass of the known labels, 0..1; None without a gate.
    """

    probabilities: npt.NDArray[np.float32]
    known: npt.NDArray[np.float32] | None

    def part(self, start: int, stop: int) -> Scores:
        """Returns the scores of images `start` to `stop`."""
        known = None if self.known is None else self.known[start:stop]
        return Scores(self.probabilities[start:stop], known)


def joined(parts: list[Scores]) -> Scores:
    """Joins the scores of consecutive parts of one batch."""
    if len(parts) == 1:
        return parts[0]
    known = [part.known for part in parts if part.known is not None]
    return Scores(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate(known) if known else None,
    )


class OnnxModel:
    """A loaded ``model.onnx``: input ``images``, outputs ``probabilities`` and maybe ``known``."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            path, sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._outputs = ["probabilities"]
        if any(output.name == "known" for output in self._session.get_outputs()):
            self._outputs.append("known")

    def run(self, images: Images) -> Scores:
        """Classifies uint8 ``[n, size, size, 3]`` in one run."""
        outputs = self._session.run(self._outputs, {"images": images})
        return Scores(outputs[0], outputs[1] if len(outputs) > 1 else None)
