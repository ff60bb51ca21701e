"""Two networks in one graph: common parts are stored once and run once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.graph.branch import add_branch
from model.graph.gate import GateTables, write_gated
from model.quantize import quantize
from model.serving.onnx_model import OnnxModel

Floats = npt.NDArray[np.float32]

EARLY = np.random.default_rng(0).normal(0, 1, (3, 16)).astype(np.float32)
LATE = np.random.default_rng(1).normal(0, 1, (16, 8)).astype(np.float32)
HEAD = np.random.default_rng(2).normal(0, 0.1, (8, 4)).astype(np.float32)
GATE = GateTables(
    np.eye(3, 8, dtype=np.int8),
    np.array([-2, *np.linspace(-1, 1, 40)], np.float32),
    np.full(41, 1 / 41, np.float32),
)


def network(late: Floats, suffix: str = "", early: Floats = EARLY) -> onnx.ModelProto:
    """Mean colours, two dense layers, a head; the suffix renames everything but the ends."""
    nodes = [
        helper.make_node("Cast", ["images"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["levels", "axes"], ["colour"], keepdims=0),
        helper.make_node("MatMul", ["colour", "early"], ["middle"]),
        helper.make_node("Relu", ["middle"], ["positive"]),
        helper.make_node("MatMul", ["positive", "late"], ["features"]),
        helper.make_node("Gemm", ["features", "head"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    ends = {"images", "probabilities"}
    for node in nodes:
        node.name = f"node_{node.output[0]}{suffix}"
        for names in (node.input, node.output):
            names[:] = [name if name in ends else f"{name}{suffix}" for name in names]
    constants = {"early": early, "late": late, "head": HEAD, "axes": np.array([1, 2], np.int64)}
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 2, 2, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(value, f"{name}{suffix}") for name, value in constants.items()],
    )
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 20)])


def images(count: int = 50) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (count, 2, 2, 3), dtype=np.uint8)


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def test_only_what_differs_is_added_whatever_its_name() -> None:
    tuned, original = network(LATE + 0.1), network(LATE, suffix="_b")

    name = add_branch(tuned.graph, original.graph, "features_b")

    assert name not in {"features", "features_b"}
    assert [node.op_type for node in tuned.graph.node[7:]] == ["MatMul"]
    assert [part.name for part in tuned.graph.initializer[4:]] == ["beside_late_b"]


def test_equal_networks_add_nothing() -> None:
    tuned, original = network(LATE), network(LATE, suffix="_b")
    before = tuned.SerializeToString()

    assert add_branch(tuned.graph, original.graph, "features_b") == "features"
    assert tuned.SerializeToString() == before


def test_nothing_is_shared_after_a_layer_that_differs() -> None:
    tuned, original = network(LATE, early=EARLY + 0.1), network(LATE, suffix="_b")

    add_branch(tuned.graph, original.graph, "features_b")

    assert [node.op_type for node in tuned.graph.node[7:]] == ["MatMul", "Relu", "MatMul"]
    assert len(tuned.graph.initializer) == 5  # late is the same in both


def test_gate_looks_at_the_original_and_the_answers_stay_the_tuned_ones(tmp_path: Path) -> None:
    tuned = save(network(LATE + 0.5), tmp_path / "tuned.onnx")
    original = save(network(LATE, suffix="_b"), tmp_path / "original.onnx")
    write_gated(original, GATE, tmp_path / "of_original.onnx")
    write_gated(tuned, GATE, tmp_path / "both.onnx", original)

    found = OnnxModel(tmp_path / "both.onnx").run(images())

    assert np.array_equal(found.probabilities, OnnxModel(tuned).run(images()).probabilities)
    expected = OnnxModel(tmp_path / "of_original.onnx").run(images()).known
    assert np.array_equal(found.known, expected)  # type: ignore[arg-type]
    write_gated(tuned, GATE, tmp_path / "of_tuned.onnx")
    own = OnnxModel(tmp_path / "of_tuned.onnx").run(images()).known
    assert not np.array_equal(found.known, own)  # type: ignore[arg-type]


def test_int8_form_keeps_both(tmp_path: Path) -> None:
    tuned = save(network(LATE + 0.5), tmp_path / "tuned.onnx")
    original = save(network(LATE, suffix="_b"), tmp_path / "original.onnx")
    write_gated(tuned, GATE, tmp_path / "both.onnx", original)

    quantize(tmp_path / "both.onnx", tmp_path / "int8.onnx", images())

    exact, rounded = (
        OnnxModel(tmp_path / f"{each}.onnx").run(images()) for each in ("both", "int8")
    )
    assert exact.known is not None
    assert rounded.known is not None
    assert np.abs(exact.known - rounded.known).mean() < 0.05
