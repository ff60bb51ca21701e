"""A model that knows colours: small enough to be made in a test, with everything an archive has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from archive.card import ModelCard
from archive.reading import sha256_of
from imaging import ImageSpec
from model.package import write_content

LABELS = ("blue", "green", "red")
SPEC = ImageSpec(
    size=32,
    resize=32,
    crop="center",
    interpolation="bilinear",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    layout="NHWC",
)


def write_colour_model(folder: Path, sharpness: float = 8.0, **card: Any) -> Path:
    """A servable folder: the mean colour, times the sharpness, is the logits."""
    pick = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], np.float32)  # r, g, b to labels
    weight = (pick * sharpness / 255).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["levels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["levels", "axes"], ["means"], keepdims=0),
            helper.make_node("Gemm", ["means", "weight", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 32, 32, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 3])],
        [
            numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(np.zeros(3, np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.checker.check_model(model, full_check=True)
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder.parent / f"{folder.name}.onnx"
    weights.write_bytes(model.SerializeToString(deterministic=True))
    fields: dict[str, Any] = {
        "name": "colours",
        "version": "1",
        "labels": LABELS,
        "image_spec": SPEC,
        "gate": None,
        "metrics": {},
        "training_run": {},
    }
    made = ModelCard(**(fields | card), weights_sha256=sha256_of(weights))
    return write_content(weights, made, folder)
