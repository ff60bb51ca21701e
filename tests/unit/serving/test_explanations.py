"""The map of where a model looked adds up to the model's own logit."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pytest

from archive.reading import WEIGHTS_NAME, extract_archive
from model.package import DEFAULT_ARCHIVE
from model.serving.class_activation import ClassActivation, NoActivationError, pooled_head
from model.serving.occlusion import affordable
from model.serving.onnx_graph import with_outputs
from model.serving.onnx_runtime import onnxruntime
from tests.unit.serving.asgi_client import Response, ask
from tests.unit.serving.tiny_model import LABELS, SPEC, pooled_onnx, tiny_onnx, write_archive

Array = npt.NDArray[Any]


def noise(size: int, count: int = 1) -> Array:
    return np.random.default_rng(3).integers(0, 256, (count, size, size, 3), np.uint8)


def explain(
    archive: Path, label: str, images: Array, media_type: str = "application/x-npy"
) -> Response:
    file = io.BytesIO()
    np.save(file, images)
    content_type = f"{media_type}; spec={SPEC.hash}; explain={quote(label, safe='')}"
    body = file.getvalue()
    return ask(archive, "POST", "/invocations", content_type=content_type, body=body)


def logits_of(content: bytes, images: Array) -> Array:
    """The logits of the classes that have labels, by a session of their own."""
    head = pooled_head(content)
    names = [head.logits, *([head.classes] if head.classes else [])]
    session = onnxruntime.InferenceSession(
        with_outputs(content, *names), providers=["CPUExecutionProvider"]
    )
    logits, *classes = session.run(names, {"images": images})
    chosen: Array = logits[0][classes[0]] if classes else logits[0]
    return chosen


@pytest.mark.parametrize("rescaled", [False, True])
def test_mean_over_the_positions_plus_bias_is_each_labels_logit(
    tmp_path: Path, *, rescaled: bool
) -> None:
    archive = write_archive(tmp_path, pooled_onnx(rescaled=rescaled))
    images = noise(SPEC.size)
    logits = logits_of((archive / WEIGHTS_NAME).read_bytes(), images)
    for label, logit in zip(LABELS, logits, strict=True):
        answer = explain(archive, label, images).json()
        assert np.shape(answer["map"]) == (4, 4)
        assert np.mean(answer["map"]) + answer["bias"] == pytest.approx(logit, abs=1e-4)
        assert np.std(answer["map"]) > 0.01
        assert (answer["label"], answer["model"]) == (label, "colours@3")


def test_a_change_of_one_part_of_the_image_changes_the_map_there_alone(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, pooled_onnx())
    images = noise(SPEC.size)
    before = np.array(explain(archive, "red", images).json()["map"])
    images[0, 2:4, 6:8] = 255 - images[0, 2:4, 6:8]
    after = np.array(explain(archive, "red", images).json()["map"])
    assert np.argwhere(before != after).tolist() == [[1, 3]]


def test_the_default_model_shows_where_it_looked_within_the_rounding_of_int8(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "default"
    extract_archive(DEFAULT_ARCHIVE, folder)
    images = noise(224)
    activation = ClassActivation(folder / WEIGHTS_NAME, 224)
    logits = logits_of((folder / WEIGHTS_NAME).read_bytes(), images)
    sums = [
        (found := activation.of(images, place)).positions.mean() + found.bias
        for place in range(len(logits))
    ]
    assert found.positions.shape == (7, 7)
    # The pooled features are rounded to 8 bits on the way to the logits.
    np.testing.assert_allclose(sums, logits, atol=0.1)
    assert np.corrcoef(sums, logits)[0, 1] > 0.999


def test_a_graph_whose_map_would_not_add_up_is_explained_by_covering(tmp_path: Path) -> None:
    content = pooled_onnx(places=[4, 0, 1, 2, 3])
    archive = write_archive(tmp_path, content)
    with pytest.raises(NoActivationError, match="do not add up"):
        ClassActivation(archive / WEIGHTS_NAME, SPEC.size)
    assert explain(archive, "red", noise(SPEC.size)).json()["method"] == "occlusion"


def test_a_label_may_have_any_characters(tmp_path: Path) -> None:
    labels = ['a; spec="x", é🐶', *LABELS[1:]]
    archive = write_archive(tmp_path, pooled_onnx(), labels=labels)
    assert explain(archive, labels[0], noise(SPEC.size)).json()["label"] == labels[0]


def test_a_model_with_another_head_is_asked_with_each_place_covered(archive: Path) -> None:
    """A dark image with red in one corner: covering that corner takes most from `red`."""
    images = np.full((1, SPEC.size, SPEC.size, 3), 40, np.uint8)
    images[0, 6:, 6:, 0] = 255
    answer = explain(archive, "red", images).json()
    found = np.array(answer["map"])
    assert set(answer) == {"label", "model", "map", "method"}
    assert found.shape == (7, 7)
    assert tuple(np.argwhere(found == found.max())[-1]) == (6, 6)
    assert found[:4, :4].max() < found[6, 6] / 2


@pytest.mark.parametrize(
    ("seconds", "rows"), [(0.01, 7), (8 / 49, 7), (0.2, 5), (0.5, 3), (60.0, 3)]
)
def test_a_slower_model_gets_a_coarser_map(seconds: float, rows: int) -> None:
    assert affordable(seconds) == rows


@pytest.mark.parametrize(
    ("label", "count", "media_type", "code"),
    [
        ("not_a_colour", 1, "application/x-npy", "unknown_label"),
        ("", 1, "application/x-npy", "unknown_label"),
        ("red", 2, "application/x-npy", "not_one_image"),
        ("red", 1, "image/png", "explains_npy_only"),
    ],
)
def test_what_cannot_be_explained_is_refused(
    tmp_path: Path, label: str, count: int, media_type: str, code: str
) -> None:
    archive = write_archive(tmp_path, pooled_onnx())
    response = explain(archive, label, noise(SPEC.size, count), media_type)
    assert (response.status, response.error_code) == (400, code)


@pytest.mark.parametrize(
    "content", [b"", b"\x3a\x00", b"\xff" * 20, tiny_onnx().SerializeToString()]
)
def test_a_graph_without_a_pooled_head_is_told_apart_from_a_bug(content: bytes) -> None:
    with pytest.raises(NoActivationError):
        pooled_head(content)


def test_classification_is_the_same_with_and_without_maps(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, pooled_onnx())
    file = io.BytesIO()
    np.save(file, noise(SPEC.size))
    content_type = f"application/x-npy; spec={SPEC.hash}"
    response = ask(archive, "POST", "/invocations", content_type=content_type, body=file.getvalue())
    assert set(json.loads(response.body)[0]) == {"label", "confidence", "predictions", "model"}
