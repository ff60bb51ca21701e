"""Where a model looked: the share of each position in a label's logit (class activation).

B. Zhou, A. Khosla, A. Lapedriza, A. Oliva, A. Torralba, "Learning Deep Features for Discriminative
Localization" (CVPR 2016). Exact for a network that ends in a mean over positions and a dense layer:
the logit of a label c is the mean over positions of W_c · F, plus its bias. Shifts and scales of
the channels in between, as in trained heads, are merged into W and the bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.serving.onnx_graph import Node, nodes_of, with_outputs
from model.serving.onnx_model import Images
from model.serving.onnx_runtime import onnxruntime

POOLINGS = frozenset({"GlobalAveragePool", "ReduceMean"})
# Between the pooling and the dense layer: they change no value, but for the rounding of int8. Torch
# exports the flattening of torchvision's ResNet as a gathering by computed places.
_SAME_VALUES = frozenset(
    {
        "Flatten",
        "Gather",
        "Reshape",
        "Squeeze",
        "Identity",
        "Dropout",
        "QuantizeLinear",
        "DequantizeLinear",
    }
)
# Between the dense layer and the probabilities: a gate's choice of classes, a temperature.
_AFFINE = frozenset({"Add", "Sub", "Mul", "Div"})
_AFTER_LOGITS = frozenset({"Softmax", "Mul", "Gather", "Identity"})

# The rounding of an int8 graph takes a third of it.
TOLERANCE = 0.1


class NoActivationError(ValueError):
    """The graph does not end in a mean over positions and a dense layer."""


@dataclass(frozen=True, slots=True)
class Activation:
    """The map of one label on one image.

    Attributes:
        positions: float32 [rows, columns], what each position adds to the mean, in logits.
        bias: the label's own, in logits. The mean of ``positions`` plus ``bias`` is the logit.
    """

    positions: npt.NDArray[np.float32]
    bias: float


@dataclass(frozen=True, slots=True)
class PooledHead:
    """The names of a graph's tensors that a map needs.

    Attributes:
        features: before the pooling, float32 [n, channels, rows, columns].
        weights, bias: of the dense layer; `is_transposed` when weights are [classes, channels].
        rescaling: what happens to each channel between the pooling and the dense layer, in order:
            the kind of node, and its constant.
        classes: the choice of the classes that have labels; None when all have.
        logits: the dense layer's output, float32 [n, classes].
    """

    features: str
    weights: str
    bias: str
    is_transposed: bool
    rescaling: tuple[tuple[str, str], ...]
    classes: str | None
    logits: str


class ClassActivation:
    """A second session of a model, whose outputs are the tensors before the pooling.

    Apart from the one that classifies, because a tensor that is an output cannot be fused away.

    Raises:
        OSError: the file cannot be read.
        NoActivationError: the model has another kind of head.
    """

    def __init__(self, path: Path, image_size: int) -> None:
        content = path.read_bytes()
        head = pooled_head(content)
        factors = [constant for _, constant in head.rescaling]
        chosen = [head.classes] if head.classes else []
        tensors = [head.features, head.weights, head.bias, head.logits, *factors, *chosen]
        outputs = list(dict.fromkeys(tensors))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            with_outputs(content, *outputs), options, ["CPUExecutionProvider"]
        )
        noise = np.random.default_rng(0).integers(0, 256, (1, image_size, image_size, 3), np.uint8)
        values = dict(zip(outputs, session.run(outputs, {"images": noise}), strict=True))
        features, weights, bias = (
            values[each] for each in (head.features, head.weights, head.bias)
        )
        if not head.is_transposed:
            weights = weights.T
        if features.ndim != 4 or features.shape[1] != weights.shape[1]:
            raise NoActivationError("the tensor before the pooling is not [n, channels, h, w]")
        scale, shift = _rescaling([(kind, values[name]) for kind, name in head.rescaling])
        bias = bias + weights @ np.broadcast_to(shift, weights.shape[1:])
        weights = weights * scale
        _check(weights @ features[0].mean(axis=(1, 2)) + bias, values[head.logits][0])
        choice = slice(None) if head.classes is None else values[head.classes]
        self._weights, self._bias = weights[choice], bias[choice]
        self._session = session
        self._features = head.features

    def of(self, images: Images, label: int) -> Activation:
        """Returns the map of the label at this place in the card's list.

        Args:
            images: uint8 [1, size, size, 3].
        """
        (features,) = self._session.run([self._features], {"images": images})
        positions = np.einsum("c,chw->hw", self._weights[label], features[0])
        return Activation(positions, float(self._bias[label]))


def pooled_head(content: bytes) -> PooledHead:
    """Finds the dense layer below the output `probabilities`, and the pooling below that.

    Raises:
        NoActivationError: there is another kind of head, or no graph.
    """
    try:
        makers = {name: node for node in nodes_of(content) for name in node.outputs}
    except ValueError as error:
        raise NoActivationError(str(error)) from error
    dense, passed = _below(makers, "probabilities", _AFTER_LOGITS)
    if dense.kind != "Gemm" or len(dense.inputs) != 3:
        raise NoActivationError("the probabilities do not come from a dense layer")
    pooling, between = _below(makers, dense.inputs[0], _SAME_VALUES | _AFFINE)
    if pooling.kind not in POOLINGS:
        raise NoActivationError("the dense layer does not take a mean over positions")
    if any(node.kind in _AFFINE and not _is_constant(makers, node.inputs[1]) for node in between):
        raise NoActivationError("the mean over positions is not only shifted and scaled")
    choices = [node.inputs[1] for node in passed if node.kind == "Gather"]
    if len(choices) > 1:
        raise NoActivationError("the classes are chosen twice")
    return PooledHead(
        features=pooling.inputs[0],
        weights=dense.inputs[1],
        bias=dense.inputs[2],
        is_transposed=dense.integers.get("transB", 0) == 1,
        rescaling=tuple(
            (node.kind, node.inputs[1]) for node in reversed(between) if node.kind in _AFFINE
        ),
        classes=choices[0] if choices else None,
        logits=dense.outputs[0],
    )


def _below(makers: dict[str, Node], name: str, skipped: frozenset[str]) -> tuple[Node, list[Node]]:
    """Returns the first node below a tensor that is of no skipped kind, and those passed by."""
    passed: list[Node] = []
    while (node := makers.get(name)) is not None and node.inputs:
        if node.kind not in skipped:
            return node, passed
        passed.append(node)
        name = node.inputs[0]
    raise NoActivationError(f"the graph has no {name}")


def _check(found: npt.NDArray[np.float64], logits: npt.NDArray[np.float32]) -> None:
    """Raises NoActivationError if a probe's maps do not add up: the graph was misread."""
    if np.abs(found - logits).max() > TOLERANCE * max(1.0, float(np.abs(logits).max())):
        raise NoActivationError("its positions do not add up to the logits")


def _is_constant(makers: dict[str, Node], name: str) -> bool:
    """Returns whether a tensor is stored in the file, as it is or as int8."""
    node = makers.get(name)
    if node is None:
        return name != "images"
    return node.kind in {"Constant", "DequantizeLinear"} and not any(
        each in makers for each in node.inputs
    )


def _rescaling(
    steps: list[tuple[str, npt.NDArray[np.float32]]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns scale and shift, each [channels] or [1], of steps one after the other."""
    scale, shift = np.ones(1), np.zeros(1)
    for kind, constant in steps:
        value = np.asarray(constant, np.float64).reshape(-1)
        if kind in {"Add", "Sub"}:
            shift = shift + value if kind == "Add" else shift - value
        else:
            factor = value if kind == "Mul" else 1 / value
            scale, shift = scale * factor, shift * factor
    return scale, shift
