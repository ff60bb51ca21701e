"""The gate of trained models: what it refuses, and that the graph decides as it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from model.graph.gate import GateTables, write_gated
from model.quantize import quantize
from model.serving.onnx_model import OnnxModel
from training.export.familiarity import (
    MIN_PHOTOS,
    REFUSED,
    Familiarity,
    familiarity,
    fit_familiarity,
    prototypes,
)

Floats = npt.NDArray[np.float32]

CLASSES, SIZE = 4, 24


def photos(count: int, seed: int, first_class: int = 0) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Features around one direction for each class."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    centres = 10 * np.eye(SIZE)[first_class + labels]
    noise = generator.normal(0, 1, (count, SIZE))
    return (centres + noise).astype(np.float32), labels.astype(np.int64)


def fitted(
    features: Floats, labels: npt.NDArray[np.int64], alike: Sequence[int] = ()
) -> Familiarity:
    gate = fit_familiarity(
        lambda rows: features[list(rows)], range(len(labels)), labels, alike or range(len(labels))
    )
    assert gate is not None
    return gate


def known(gate: Familiarity, features: Floats) -> npt.NDArray[np.float64]:
    units, nearest = (
        each / np.linalg.norm(each, axis=1, keepdims=True)
        for each in (features, gate.tables.prototypes.astype(np.float32))
    )
    reached = familiarity(units, nearest)[:, None] >= gate.tables.knots
    return np.asarray(reached @ gate.tables.weights, np.float64)


def test_other_things_are_refused_and_hardly_any_photo_of_the_classes() -> None:
    gate = fitted(*photos(400, seed=1))
    own, _ = photos(2_000, seed=2)
    others, _ = photos(200, seed=3, first_class=CLASSES)

    assert (known(gate, others) < gate.minimum).all()
    assert 0 < (known(gate, own) < gate.minimum).mean() < 2 * REFUSED
    assert gate.refused <= REFUSED


def test_photos_of_classes_that_were_left_out_are_refused_and_the_card_says_so() -> None:
    content = fitted(*photos(400, seed=1)).to_json()
    assert content["new_classes_refused"] == 1.0
    assert content["photos"] == 400


def test_too_few_photos_measure_no_threshold_and_refuse_nothing() -> None:
    features, labels = photos(MIN_PHOTOS - 1, seed=1)
    rows = range(len(labels))
    assert fit_familiarity(lambda some: features[list(some)], rows, labels, rows) is None
    assert fitted(*photos(MIN_PHOTOS, seed=1)).refused <= REFUSED


def test_a_class_of_one_photo_does_not_loosen_the_threshold() -> None:
    features, labels = photos(200, seed=1)
    lonely = 10 * np.eye(SIZE)[[SIZE - 1]].astype(np.float32)
    gate = fitted(np.concatenate([features, lonely]), np.append(labels, CLASSES))
    assert gate.photos == 200
    assert gate.tables.knots[2] > 0.5


def test_copies_do_not_make_their_photos_look_familiar() -> None:
    features, labels = photos(100, seed=1)
    twice, labels_twice = np.repeat(features, 2, axis=0), np.repeat(labels, 2)
    alike = [row - row % 2 for row in range(200)]
    once, copied = fitted(features, labels), fitted(twice, labels_twice, alike)
    assert copied.tables.knots[1] == pytest.approx(once.tables.knots[1], abs=0.05)


def test_few_prototypes_are_kept_for_each_class() -> None:
    features, labels = photos(400, seed=1)
    found = prototypes(features / np.linalg.norm(features, axis=1, keepdims=True), labels)
    assert found.shape == (2 * CLASSES, SIZE)
    assert fitted(features, labels).tables.prototypes.dtype == np.int8


def write_graph(path: Path, hidden: Floats) -> Path:
    """A model whose features are a dense function of an image's mean colour."""
    head = np.random.default_rng(0).normal(0, 1, (SIZE, CLASSES)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["levels"], ["colour"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["colour", "hidden"], ["features"]),
        helper.make_node("Gemm", ["features", "head"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 2, 2, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(hidden, "hidden"), numpy_helper.from_array(head, "head")],
    )
    # ReduceL2 and ReduceMax take their axes as an input from opset 18 on, ReduceMean too.
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 20)])
    model.graph.node[1].CopyFrom(
        helper.make_node("ReduceMean", ["levels", "axes"], ["colour"], keepdims=0)
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 2], np.int64), "axes"))
    path.write_bytes(model.SerializeToString())
    return path


def test_the_graph_decides_as_it_was_measured(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    hidden = generator.normal(0, 1, (3, SIZE)).astype(np.float32)
    images = generator.integers(0, 256, (300, 2, 2, 3), dtype=np.uint8)
    features = images.astype(np.float32).mean(axis=(1, 2)) @ hidden
    gate = fitted(features[:200], (np.arange(200) % CLASSES).astype(np.int64))

    plain = write_graph(tmp_path / "plain.onnx", hidden)
    write_gated(plain, gate.tables, tmp_path / "gated.onnx")
    scores = OnnxModel(tmp_path / "gated.onnx").run(images)

    assert scores.known is not None
    assert scores.known == pytest.approx(known(gate, features), abs=1e-5)
    before = OnnxModel(plain).run(images)
    assert np.array_equal(before.probabilities, scores.probabilities)


def test_prototypes_stay_int8_in_the_file(tmp_path: Path) -> None:
    tables = GateTables(
        np.ones((100, SIZE), np.int8), np.zeros(1, np.float32), np.ones(1, np.float32)
    )
    plain = write_graph(tmp_path / "plain.onnx", np.ones((3, SIZE), np.float32))
    write_gated(plain, tables, tmp_path / "gated.onnx")
    added = (tmp_path / "gated.onnx").stat().st_size - plain.stat().st_size
    assert 100 * SIZE < added < 2 * 100 * SIZE


def test_the_int8_form_refuses_the_same_and_keeps_its_prototypes_small(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    hidden = generator.normal(0, 1, (3, SIZE)).astype(np.float32)
    images = generator.integers(0, 256, (300, 2, 2, 3), dtype=np.uint8)
    features = images.astype(np.float32).mean(axis=(1, 2)) @ hidden
    gate = fitted(features[:200], (np.arange(200) % CLASSES).astype(np.int64))
    write_gated(write_graph(tmp_path / "plain.onnx", hidden), gate.tables, tmp_path / "gated.onnx")

    quantize(tmp_path / "gated.onnx", tmp_path / "int8.onnx", images[:50])

    kinds = {
        part.name: part.data_type
        for part in onnx.load(str(tmp_path / "int8.onnx")).graph.initializer
    }
    assert kinds["gate_prototypes"] == TensorProto.INT8
    refused = [
        scores.known < gate.minimum
        for name in ("gated", "int8")
        if (scores := OnnxModel(tmp_path / f"{name}.onnx").run(images)).known is not None
    ]
    assert (refused[0] != refused[1]).mean() <= 0.02


def test_a_model_without_a_dense_layer_gets_no_gate(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "plain.onnx", np.ones((3, SIZE), np.float32))
    model = onnx.load(str(path))
    model.graph.node[3].op_type = "MatMul"
    path.write_bytes(model.SerializeToString())
    tables = GateTables(
        np.ones((1, SIZE), np.int8), np.zeros(1, np.float32), np.ones(1, np.float32)
    )
    with pytest.raises(ValueError, match="dense layer"):
        write_gated(path, tables, tmp_path / "gated.onnx")
