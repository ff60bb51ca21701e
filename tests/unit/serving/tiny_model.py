"""A model archive so small that every test may have its own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from imaging import ImageSpec

SPEC = ImageSpec(
    size=8,
    resize=8,
    crop="center",
    interpolation="bilinear",
    mean=(0.0, 0.0, 0.0),
    std=(255.0, 255.0, 255.0),
    layout="NHWC",
)
LABELS = ["red", "green", "blue", "dark", "grey", "white"]
GATE = {"label": "not_a_colour", "minimum": 0.25}


def tiny_onnx() -> onnx.ModelProto:
    """Which of red, green and blue is strongest; `known` is how bright the image is, 0..1."""
    to_labels = np.zeros((3, len(LABELS)), dtype=np.float32)
    to_labels[0, 0] = to_labels[1, 1] = to_labels[2, 2] = 9.0
    nodes = [
        helper.make_node("Cast", ["images"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["levels", "full"], ["scaled"]),
        helper.make_node("ReduceMean", ["scaled"], ["colour"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["colour", "to_labels"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ReduceMax", ["colour"], ["known"], axes=[1], keepdims=0),
    ]
    shape = ["n", SPEC.size, SPEC.size, 3]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, shape)],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(LABELS)]),
            helper.make_tensor_value_info("known", TensorProto.FLOAT, ["n"]),
        ],
        [
            numpy_helper.from_array(np.array(255.0, dtype=np.float32), "full"),
            numpy_helper.from_array(to_labels, "to_labels"),
        ],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def pooled_onnx(*, rescaled: bool = False, places: list[int] | None = None) -> onnx.ModelProto:
    """A convolution, a mean over its 4 x 4 positions and a dense layer, as trained models end.

    With `rescaled` the mean is shifted and scaled before the dense layer, as their heads do; with
    `places` the channels are gathered in that order before.

    Of seven classes only six have labels: the first one is what the gate knows as nothing.
    """
    random = np.random.default_rng(7)
    constants = {
        "full": np.array(255.0, np.float32),
        "kernel": random.normal(size=(5, 3, 2, 2)).astype(np.float32),
        "weights": random.normal(size=(1 + len(LABELS), 5)).astype(np.float32),
        "bias": random.normal(size=1 + len(LABELS)).astype(np.float32),
        "labelled": np.arange(1, 1 + len(LABELS), dtype=np.int64),
        "one": np.array([1], np.int64),
        "shift": random.normal(size=5).astype(np.float32),
        "factor": np.array(3.5, np.float32),
        "places": np.array(places or range(5), np.int64),
    }
    rescaling = [
        helper.make_node("Sub", ["flat", "shift"], ["shifted"]),
        helper.make_node("Mul", ["shifted", "factor"], ["rescaled"]),
    ]
    nodes = [
        helper.make_node("Cast", ["images"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["levels", "full"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["convolved"], strides=[2, 2]),
        helper.make_node("Relu", ["convolved"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["in_order"]),
        helper.make_node("Gather", ["in_order", "places"], ["flat"], axis=1),
        *(rescaling if rescaled else []),
        helper.make_node(
            "Gemm", ["rescaled" if rescaled else "flat", "weights", "bias"], ["logits"], transB=1
        ),
        helper.make_node("Gather", ["logits", "labelled"], ["chosen"], axis=1),
        helper.make_node("Softmax", ["chosen"], ["probabilities"], axis=1),
        helper.make_node("Softmax", ["logits"], ["shares"], axis=1),
        helper.make_node("Gather", ["shares", "labelled"], ["chosen_shares"], axis=1),
        helper.make_node("ReduceSum", ["chosen_shares", "one"], ["known"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "pooled",
        [
            helper.make_tensor_value_info(
                "images", TensorProto.UINT8, ["n", SPEC.size, SPEC.size, 3]
            )
        ],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(LABELS)]),
            helper.make_tensor_value_info("known", TensorProto.FLOAT, ["n"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def write_archive(folder: Path, model: onnx.ModelProto | None = None, **changes: object) -> Path:
    """An extracted archive in `folder`; `changes` replace members of its model.json."""
    weights = (model or tiny_onnx()).SerializeToString()
    card = {
        "schema": 1,
        "name": "colours",
        "version": "3",
        "labels": LABELS,
        "image_spec": SPEC.to_json(),
        "gate": GATE,
        "metrics": {},
        "training_run": {},
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    (folder / "model.onnx").write_bytes(weights)
    (folder / "model.json").write_text(json.dumps(card | changes), encoding="utf-8")
    return folder
