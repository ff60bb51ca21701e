"""The model behind BentoML, as its documentation writes an image classifier.

Run by `bench.serving` in the peers' environment: `bentoml serve bench.bentoml_app:Classifier`.
"""

import json
import os
from pathlib import Path

import bentoml  # type: ignore[import-not-found]
import numpy as np
from PIL.Image import Image

from bench.peer_model import pixels_of

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime  # type: ignore[import-untyped]


@bentoml.service(traffic={"timeout": 60})  # type: ignore[misc]
class Classifier:
    """Decode, run, answer: one request, one run."""

    def __init__(self) -> None:
        model_dir = Path(os.environ["MODEL_DIR"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # as ours: more threads spin while they wait
        self.session = onnxruntime.InferenceSession(model_dir / "model.onnx", options)
        self.labels = json.loads((model_dir / "model.json").read_text())["labels"]

    @bentoml.api(route="/invocations")  # type: ignore[misc]
    def classify(self, image: Image, /) -> list[tuple[str, float]]:
        """Returns the five best labels of a photo in the body."""
        images = {"images": pixels_of(image)[None]}
        probabilities = self.session.run(["probabilities"], images)[0][0]
        best = np.argsort(-probabilities)[:5].tolist()
        return [(self.labels[at], float(probabilities[at])) for at in best]
