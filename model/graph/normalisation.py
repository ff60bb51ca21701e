"""Drops a quantised graph's normalisation if quantising undoes it for every pixel level."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

_LEVELS = np.arange(256, dtype=np.uint8)
# From the pixels on, as `model.export` writes them.
_STEPS = ("Cast", "Sub", "Div", "QuantizeLinear")


def drop_undone_normalisation(graph: onnx.GraphProto) -> bool:
    """Lets the first layer take the uint8 pixels where quantising undoes their normalisation.

    (x - 127) / 128 with the scale 1/128 and the zero point 127 is x again, for each of the 256
    levels: they are all tried. So the answers stay the same, bit for bit. ONNX Runtime would take
    a quarter of the model's time for these steps, three values at a time.

    Returns:
        Whether the steps were there and undid each other.
    """
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    steps = _steps_after_the_pixels(graph)
    if steps is None:
        return False
    cast, subtract, divide, quantise = steps
    names = (subtract.input[1], divide.input[1], *quantise.input[1:3])
    if not all(name in constants for name in names):
        return False
    if not _gives_pixels_back(*(constants[name] for name in names)):
        return False
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == quantise.output[0]:
                node.input[place] = cast.input[0]
    for node in steps:
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for constant in [each for each in graph.initializer if each.name not in used]:
        graph.initializer.remove(constant)
    return True


def _steps_after_the_pixels(graph: onnx.GraphProto) -> list[onnx.NodeProto] | None:
    """Returns the nodes of `_STEPS` if each alone consumes the output of the one before."""
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    steps: list[onnx.NodeProto] = []
    for start in (node for node in graph.node if node.op_type == _STEPS[0]):
        steps = [start]
        for kind in _STEPS[1:]:
            following = users.get(steps[-1].output[0], [])
            if len(following) != 1 or following[0].op_type != kind:
                break
            steps.append(following[0])
        if len(steps) == len(_STEPS):
            return steps
    return None


def _gives_pixels_back(
    mean: np.ndarray, std: np.ndarray, scale: np.ndarray, zero_point: np.ndarray
) -> bool:
    """Whether each level, of each channel, comes back; in float32, as ONNX Runtime computes."""
    if zero_point.dtype != np.uint8:
        return False
    channels = zip(*np.broadcast_arrays(mean.ravel(), std.ravel()), strict=True)
    for one_mean, one_std in channels:
        normalised = (_LEVELS.astype(np.float32) - one_mean) / one_std
        quantised = np.rint(normalised / scale) + zero_point
        if not np.array_equal(np.clip(quantised, 0, 255), _LEVELS):
            return False
    return True
