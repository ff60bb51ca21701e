"""The parts that the ways of `bench.bulk_peers` and `bench.serving` share: model, plain
preparation, start signal.

Imported by the peers in their own environments, so it needs Pillow, numpy and onnxruntime alone.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime  # type: ignore[import-untyped]

SIZE, SHORTER_SIDE = 224, 256
IMAGES_A_RUN = 8

Pixels = npt.NDArray[np.uint8]


class Model:
    """``model.onnx`` of an extracted archive, on one thread, as our server runs it."""

    def __init__(self, model_dir: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model_dir / "model.onnx", sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._labels: list[str] = json.loads((model_dir / "model.json").read_text())["labels"]

    def answers(self, images: Pixels) -> list[tuple[str, float]]:
        """Returns label and confidence of uint8 ``[n, 224, 224, 3]``."""
        found: list[tuple[str, float]] = []
        for start in range(0, len(images), IMAGES_A_RUN):
            part = {"images": images[start : start + IMAGES_A_RUN]}
            (probabilities,) = self._session.run(["probabilities"], part)
            found += [(self._labels[row.argmax()], float(row.max())) for row in probabilities]
        return found


def prepared(data: bytes) -> Pixels | None:
    """Returns uint8 ``[224, 224, 3]`` as a script makes it; None if Pillow cannot read the file."""
    try:
        return pixels_of(Image.open(io.BytesIO(data)))
    except Exception:  # noqa: BLE001 - Pillow raises errors of many kinds
        return None


def pixels_of(opened: Image.Image) -> Pixels:
    """Returns uint8 ``[224, 224, 3]``: the resize and crop that the model was trained with."""
    image = ImageOps.exif_transpose(opened).convert("RGB")
    scale = SHORTER_SIDE / min(image.size)
    width, height = (max(round(side * scale), SHORTER_SIDE) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - SIZE) // 2, (height - SIZE) // 2
    return np.asarray(image.crop((left, top, left + SIZE, top + SIZE)))


def run_when_told(work: Callable[[], None], rows: Callable[[], dict[str, Any]]) -> None:
    """Says "ready", works when a line comes, says "done", then the label of each file as JSON."""
    print("ready", flush=True)
    sys.stdin.readline()
    work()
    print("done", flush=True)
    print(json.dumps(rows()), flush=True)
