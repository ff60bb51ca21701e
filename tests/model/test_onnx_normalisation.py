"""A normalisation that quantising undoes leaves the graph; any other stays."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from model.graph.normalisation import drop_undone_normalisation
from model.serving.onnx_runtime import onnxruntime


def graph_with(
    mean: list[float], std: list[float], scale: float, zero_point: int
) -> onnx.ModelProto:
    """Pixels [n, 4, 4, 3] → normalised, quantised and back again, as `model.quantize` writes it."""
    shape = (1, 3, 1, 1)
    constants = {
        "mean": np.array(mean, np.float32).reshape(shape),
        "std": np.array(std, np.float32).reshape(shape),
        "scale": np.array(scale, np.float32),
        "zero_point": np.array(zero_point, np.uint8),
    }
    nodes = [
        helper.make_node("Transpose", ["images"], ["channels_first"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["channels_first"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["floats", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["normalised"]),
        helper.make_node("QuantizeLinear", ["normalised", "scale", "zero_point"], ["quantised"]),
        helper.make_node("DequantizeLinear", ["quantised", "scale", "zero_point"], ["answer"]),
    ]
    graph = helper.make_graph(
        nodes,
        "normalisation",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 4, 4, 3])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["n", 3, 4, 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def answer(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"images": images})
    return np.asarray(found)


IMAGES = np.arange(2 * 4 * 4 * 3 * 3, dtype=np.uint8)[: 2 * 48].reshape(2, 4, 4, 3)


def test_answers_stay_the_same_without_the_steps_that_undo_each_other() -> None:
    model = graph_with([127.0] * 3, [128.0] * 3, 1 / 128, 127)
    before = answer(model, IMAGES)

    assert drop_undone_normalisation(model.graph)

    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Transpose", "DequantizeLinear"]
    assert {each.name for each in model.graph.initializer} == {"scale", "zero_point"}
    np.testing.assert_array_equal(answer(model, IMAGES), before)


@pytest.mark.parametrize(
    ("mean", "std", "scale", "zero_point"),
    [
        ([127.0] * 3, [128.0] * 3, 1 / 127, 127),
        ([127.0] * 3, [128.0] * 3, 1 / 128, 128),
        ([127.0, 127.0, 126.0], [128.0] * 3, 1 / 128, 127),
        ([124.0, 116.0, 104.0], [58.0, 57.0, 57.0], 0.02, 114),
    ],
)
def test_normalisation_that_changes_a_pixel_stays(
    mean: list[float], std: list[float], scale: float, zero_point: int
) -> None:
    model = graph_with(mean, std, scale, zero_point)
    before = model.SerializeToString(deterministic=True)

    assert not drop_undone_normalisation(model.graph)

    assert model.SerializeToString(deterministic=True) == before
