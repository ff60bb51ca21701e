"""The temperature, within the graph: an archive whose confidences mean what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from training.errors import TrainingError

PROBABILITIES = "probabilities"
INVERSE_TEMPERATURE = "inverse_temperature"


def write_calibrated(weights: Path, temperature: float, destination: Path) -> None:
    """Writes the graph with the logits of `probabilities` divided by the temperature.

    A graph that has a temperature already gets the product of both. `known`, which a gate looks
    at, stays as it is.

    Raises:
        TrainingError: the probabilities are no softmax, so there are no logits to divide.
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
    """What the graph divides its logits by, all calibrations together; 1 without any.

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
        raise TrainingError(
            "The model's probabilities do not come from a softmax.",
            "Only models that `imagedrop train` exports can be calibrated.",
        )
    logits = nodes[place].input[0]
    divided = helper.make_node("Mul", [logits, INVERSE_TEMPERATURE], ["logits_tempered"])
    nodes[place].input[0] = "logits_tempered"
    nodes.insert(place, divided)
