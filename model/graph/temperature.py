"""Writes a calibration temperature into an ONNX graph, so that every host applies it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

PROBABILITIES = "probabilities"
INVERSE_TEMPERATURE = "inverse_temperature"


def write_calibrated(weights: Path, temperature: float, destination: Path) -> None:
    """Writes a copy of the graph that divides the logits of `probabilities` by the temperature.

    A temperature that the graph has already is multiplied with this one. The output `known` of a
    gate does not change.

    Raises:
        ValueError: the probabilities are not the output of a softmax.
        OSError: a file cannot be read or written.
    """
    model = onnx.load(str(weights))
    inverse = _inverse_temperature(model)
    if inverse is None:
        _insert_division(model)
        before = np.float32(1)
    else:
        before = np.float32(numpy_helper.to_array(inverse))
        model.graph.initializer.remove(inverse)
    value = np.array(before / np.float32(temperature), np.float32)
    model.graph.initializer.append(numpy_helper.from_array(value, INVERSE_TEMPERATURE))
    onnx.checker.check_model(model, full_check=True)
    destination.write_bytes(model.SerializeToString(deterministic=True))


def temperature_of(weights: Path) -> float:
    """Reads the temperature of a graph, the product of all calibrations; 1 without any.

    Raises:
        OSError: the file cannot be read.
    """
    inverse = _inverse_temperature(onnx.load(str(weights)))
    return 1.0 if inverse is None else 1 / float(numpy_helper.to_array(inverse))


def _inverse_temperature(model: onnx.ModelProto) -> onnx.TensorProto | None:
    named = (each for each in model.graph.initializer if each.name == INVERSE_TEMPERATURE)
    return next(named, None)


def _insert_division(model: onnx.ModelProto) -> None:
    nodes = model.graph.node
    place = next((i for i, node in enumerate(nodes) if PROBABILITIES in node.output), None)
    if place is None or nodes[place].op_type != "Softmax":
        raise ValueError("the model's probabilities do not come from a softmax")
    logits = nodes[place].input[0]
    divided = helper.make_node("Mul", [logits, INVERSE_TEMPERATURE], ["logits_tempered"])
    nodes[place].input[0] = "logits_tempered"
    nodes.insert(place, divided)
