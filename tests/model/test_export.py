"""Any network is exported the same way; the default model is only the first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from imaging import ImageSpec
from model.export import ServedModel, export_onnx
from model.quantize import quantize
from model.serving.onnx_runtime import onnxruntime

SPEC = ImageSpec(
    size=32,
    resize=36,
    crop="center",
    interpolation="bilinear",
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
    layout="NHWC",
)


def network(classes: int) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, classes),
    ).eval()


def images(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    generator = np.random.default_rng(1)
    return generator.integers(0, 256, (count, SPEC.size, SPEC.size, 3), dtype=np.uint8)


def test_model_with_a_label_for_every_class_has_no_output_known(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(ServedModel(network(5), SPEC), SPEC, path)

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    assert [output.name for output in session.get_outputs()] == ["probabilities"]
    (probabilities,) = session.run(None, {"images": images(3)})
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_normalisation_of_the_spec_is_inside_the_graph(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    plain = network(5)
    export_onnx(ServedModel(plain, SPEC), SPEC, path)
    batch = images(2)
    normalised = (batch - np.array(SPEC.mean)) / np.array(SPEC.std)
    with torch.inference_mode():
        expected = plain(torch.tensor(normalised).permute(0, 3, 1, 2).float()).softmax(dim=1)

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    np.testing.assert_allclose(session.run(None, {"images": batch})[0], expected, atol=1e-5)


def test_known_is_the_labelled_classes_share_of_all(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    plain = network(5)
    export_onnx(ServedModel(plain, SPEC, classes=[3, 1]), SPEC, path)
    batch = images(2)
    everything = ServedModel(plain, SPEC)
    with torch.inference_mode():
        full = everything(torch.tensor(batch))[0].numpy()

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    probabilities, known = session.run(["probabilities", "known"], {"images": batch})

    np.testing.assert_allclose(known, full[:, [3, 1]].sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(probabilities, full[:, [3, 1]] / known[:, np.newaxis], atol=1e-5)


def test_exported_file_tells_nothing_of_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    export_onnx(ServedModel(network(5), SPEC), SPEC, path)

    assert b".py" not in path.read_bytes()
    assert b"stack_trace" not in path.read_bytes()


def test_quantising_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    fp32 = tmp_path / "fp32.onnx"
    export_onnx(ServedModel(network(5), SPEC), SPEC, fp32)

    quantize(fp32, tmp_path / "first.onnx", images(4))
    quantize(fp32, tmp_path / "second.onnx", images(4))

    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()


def test_probabilities_stay_float32_in_the_int8_model(tmp_path: Path) -> None:
    fp32, int8 = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    export_onnx(ServedModel(network(5), SPEC), SPEC, fp32)
    quantize(fp32, int8, images(4))

    graph = onnx.load(str(int8)).graph
    producers = {output: node for node in graph.node for output in node.output}

    softmax = producers["probabilities"]
    assert softmax.op_type == "Softmax"
    assert producers[softmax.input[0]].op_type == "Gemm"
