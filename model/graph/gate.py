"""Adds a gate to an ONNX graph: the output `known`, from features as the last layer gets them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.graph.branch import add_branch

KNOWN, PROBABILITIES = "known", "probabilities"


@dataclass(frozen=True, slots=True)
class GateTables:
    """The constants of a gate.

    Attributes:
        prototypes: int8 [p, d], in the space of the last layer's input, of the network as it was
            before any fine-tuning; only directions count.
        knots: float32 [m], similarities; weights: float32 [m]. `known` is the sum of the weights
            whose knots are at most the largest cosine of an image and a prototype.
    """

    prototypes: npt.NDArray[np.int8]
    knots: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]


def write_gated(
    weights: Path, gate: GateTables, destination: Path, before_finetuning: Path | None = None
) -> None:
    """Writes a copy of the graph with the output `known`, float32 [n], 0..1.

    The prototypes stay int8 in the file. The gate adds no node of a kind that `model.quantize`
    quantises.

    Args:
        before_finetuning: the graph of the network as it was before it was fine-tuned, in whose
            space the prototypes are. The copy computes its features beside its own; layers that
            were not fine-tuned are stored once and run once.

    Raises:
        ValueError: there is no last dense layer below a softmax, or it has another size.
        OSError: a file cannot be read or written.
    """
    model = onnx.load(str(weights))
    graph = model.graph
    features = _last_layer_input(graph)
    if before_finetuning is not None:
        other = onnx.load(str(before_finetuning)).graph
        features = add_branch(graph, other, _last_layer_input(other))
    lengths = np.linalg.norm(gate.prototypes.astype(np.float32), axis=1)
    constants = {
        "gate_prototypes": np.ascontiguousarray(gate.prototypes.T),
        "gate_inverse_lengths": (1 / np.maximum(lengths, 1e-12)).astype(np.float32),
        "gate_least_length": np.array(1e-12, np.float32),
        "gate_axis": np.array([1], np.int64),
        "gate_knots": gate.knots,
        "gate_weights": gate.weights,
    }
    graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )
    graph.node.extend(_nodes(features))
    graph.output.append(helper.make_tensor_value_info(KNOWN, TensorProto.FLOAT, ["n"]))
    onnx.checker.check_model(model, full_check=True)
    destination.write_bytes(model.SerializeToString(deterministic=True))


def _nodes(features: str) -> list[onnx.NodeProto]:
    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
        made: onnx.NodeProto = helper.make_node(
            kind, inputs, [output], name=f"node_{output}", **attributes
        )
        return made

    return [
        node("ReduceL2", [features, "gate_axis"], "gate_norm", keepdims=1),
        node("Max", ["gate_norm", "gate_least_length"], "gate_length"),
        node("Div", [features, "gate_length"], "gate_direction"),
        node("Cast", ["gate_prototypes"], "gate_directions", to=TensorProto.FLOAT),
        node("MatMul", ["gate_direction", "gate_directions"], "gate_products"),
        node("Mul", ["gate_products", "gate_inverse_lengths"], "gate_cosines"),
        node("ReduceMax", ["gate_cosines", "gate_axis"], "gate_familiarity", keepdims=1),
        node("GreaterOrEqual", ["gate_familiarity", "gate_knots"], "gate_reached"),
        node("Cast", ["gate_reached"], "gate_steps", to=TensorProto.FLOAT),
        node("MatMul", ["gate_steps", "gate_weights"], KNOWN),
    ]


def _last_layer_input(graph: onnx.GraphProto) -> str:
    """Returns the input of the dense layer that the softmax gets its logits from."""
    maker = {output: node for node in graph.node for output in node.output}
    node = maker.get(PROBABILITIES)
    while node is not None and node.op_type in {"Softmax", "Mul"}:
        node = maker.get(node.input[0])
    if node is None or node.op_type != "Gemm":
        raise ValueError("the model's probabilities do not come from a dense layer and a softmax")
    return str(node.input[0])
