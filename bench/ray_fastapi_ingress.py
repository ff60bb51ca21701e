"""The obvious deployment for Ray Serve: a FastAPI ingress around ONNX Runtime.

Only `serving.py` runs it, to compare the serving application with. It answers as little as possible
(no checks, no gate, no spec), on one thread as ours.
"""

import io
import json
import os
from pathlib import Path

import numpy as np
from fastapi import FastAPI, Request
from peer_model import pixels_of  # type: ignore[import-not-found]  # copied beside this file
from PIL import Image
from ray import serve

# Ray copies this file alone: it cannot import how the product turns the telemetry off.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

MODEL_DIR = Path(__file__).parent

api = FastAPI()


@serve.deployment(max_ongoing_requests=64)
@serve.ingress(api)
class Baseline:
    """Decode, run, answer: one request, one run."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # as ours: more threads spin while they wait
        self.session = onnxruntime.InferenceSession(MODEL_DIR / "model.onnx", options)
        self.labels = json.loads((MODEL_DIR / "model.json").read_text())["labels"]

    @api.post("/invocations")
    async def invocations(self, request: Request) -> list[dict[str, object]]:
        """npy or an image file in, the best five labels out."""
        body = await request.body()
        if request.headers["content-type"].startswith("application/x-npy"):
            images = np.load(io.BytesIO(body))
        else:
            images = pixels_of(Image.open(io.BytesIO(body)))[None]
        probabilities = self.session.run(["probabilities"], {"images": images})[0]
        return [self._entry(row) for row in probabilities]

    def _entry(self, row: np.ndarray) -> dict[str, object]:
        best = np.argsort(-row)[:5].tolist()
        return {"predictions": [[self.labels[index], float(row[index])] for index in best]}


app = Baseline.bind()
