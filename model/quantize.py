"""Static int8 quantisation of an exported model, with ONNX Runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.graph.normalisation import drop_undone_normalisation
from model.serving.onnx_runtime import onnxruntime

# isort: split
# After the import that turns telemetry off.
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import (  # type: ignore[import-untyped]
    quant_pre_process,
)

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

# The arithmetic inside the network. Normalisation before it and softmax after it stay in float32,
# but for a normalisation that quantising undoes.
_QUANTISED_OPERATIONS = ["Conv", "Clip", "Add", "ReduceMean", "Gemm"]

SETTINGS = {
    "method": "static, QDQ",
    "calibration": "MinMax",
    "weights": "int8, one scale a channel, no neighbours that saturate together",
    "activations": "uint8, one scale a tensor",
    "float32": "normalisation, logits, softmax",
    "onnxruntime": onnxruntime.__version__,
}
"""The settings of `quantize`, recorded on the card with the training run."""


def quantize(fp32: Path, destination: Path, calibration: Iterable[Image]) -> None:
    """Writes the int8 form of an exported model.

    Args:
        fp32: a file of `export_onnx`.
        calibration: typical images, uint8 [size, size, 3]; they give the ranges of all activations.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: there are no calibration images.
    """
    with tempfile.TemporaryDirectory() as temporary:
        prepared = Path(temporary) / "prepared.onnx"
        quant_pre_process(str(fp32), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(destination),
            _CalibrationImages(calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTISED_OPERATIONS,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                # Logits of 256 levels would tie; as floats they cost nothing.
                "OpTypesToExcludeOutputQuantization": ["Gemm"],
                "TensorQuantOverrides": _weight_ranges(onnx.load(str(prepared))),
            },
        )
    _rewrite_deterministically(destination, onnx.load(str(fp32)))


def _weight_ranges(model: onnx.ModelProto) -> dict[str, list[dict[str, Any]]]:
    """Returns the range that int8 spans, for each channel of every dense layer's weights.

    x86 processors without VNNI (AVX2's VPMADDUBSW) add the products of two neighbours, uint8
    activation times int8 weight, in 16 bits, and saturate. They cannot saturate where two
    neighbouring weights add up to at most 128: 255 * 128 < 2**15. That widens the ranges by a
    quarter; dropping one bit of all weights (ONNX Runtime's `reduce_range`) would double them.
    Depthwise layers do not use that instruction.
    """
    weights = {part.name: numpy_helper.to_array(part) for part in model.graph.initializer}
    ranges = {}
    for node in model.graph.node:
        attributes = {part.name: helper.get_attribute_value(part) for part in node.attribute}
        if node.op_type == "Conv" and attributes.get("group", 1) == 1:
            # [outputs, inputs, h, w]; the inputs of one pixel are neighbours when it runs.
            weight, channel_axis = weights[node.input[1]].transpose(0, 2, 3, 1), 0
        elif node.op_type == "Gemm":
            channel_axis = 0 if attributes.get("transB") else 1
            weight = np.moveaxis(weights[node.input[1]], channel_axis, 0)
        else:
            continue
        largest = _largest_pair(weight.reshape(len(weight), -1))
        ranges[node.input[1]] = [{"rmin": -value, "rmax": value} for value in largest]
        ranges[node.input[1]][0]["axis"] = channel_axis
    return ranges


def _largest_pair(weights: Floats) -> Floats:
    """Returns, per row of [channels, inputs], the largest absolute weight or sum of neighbours."""
    even = np.pad(weights, ((0, 0), (0, weights.shape[1] % 2)))
    pairs = even[:, 0::2] + even[:, 1::2]
    largest: Floats = np.maximum(np.abs(even).max(axis=1), np.abs(pairs).max(axis=1))
    return largest


class _CalibrationImages(CalibrationDataReader):  # type: ignore[misc] # untyped library
    """Gives the images to ONNX Runtime one by one."""

    def __init__(self, images: Iterable[Image]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, Image] | None:
        image = next(self._images, None)
        return None if image is None else {"images": image[np.newaxis]}


def _rewrite_deterministically(path: Path, source: onnx.ModelProto) -> None:
    model = onnx.load(str(path))
    _unfold_casts(model.graph, source.graph)
    drop_undone_normalisation(model.graph)
    del model.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _unfold_casts(graph: onnx.GraphProto, source: onnx.GraphProto) -> None:
    """Puts back casts of int8 constants, which were folded into four times the bytes."""
    small = {part.name: part for part in source.initializer if part.data_type == TensorProto.INT8}
    folded = {part.name: part for part in graph.initializer}
    for node in source.node:
        if node.op_type == "Cast" and node.input[0] in small and node.output[0] in folded:
            graph.initializer.remove(folded[node.output[0]])
            graph.initializer.append(small[node.input[0]])
            graph.node.insert(0, node)
