"""The model behind LitServe, as its documentation writes an image classifier.

Run by `bench.serving` in the peers' environment: MODEL_DIR, then the port, as arguments.
"""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import litserve  # type: ignore[import-not-found]
import numpy as np
from fastapi import Request  # type: ignore[import-not-found]
from PIL import Image

from bench.peer_model import pixels_of

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime  # type: ignore[import-untyped]


class Classifier(litserve.LitAPI):  # type: ignore[misc]
    """Decode, run, answer: one request, one run."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        model_dir = Path(os.environ["MODEL_DIR"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # as ours: more threads spin while they wait
        self.session = onnxruntime.InferenceSession(model_dir / "model.onnx", options)
        self.labels = json.loads((model_dir / "model.json").read_text())["labels"]

    def decode_request(self, request: Request) -> np.ndarray:
        data = request["content"].file.read()
        return pixels_of(Image.open(io.BytesIO(data)))[None]

    def predict(self, images: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.session.run(["probabilities"], {"images": images})[0][0]
        return found

    def encode_response(self, probabilities: np.ndarray) -> dict[str, Any]:
        best = np.argsort(-probabilities)[:5].tolist()
        return {"predictions": [[self.labels[at], float(probabilities[at])] for at in best]}


if __name__ == "__main__":
    os.environ["MODEL_DIR"] = sys.argv[1]
    server = litserve.LitServer(
        Classifier(api_path="/invocations"), accelerator="cpu", workers_per_device=1
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning"
    )
