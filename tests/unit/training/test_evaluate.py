"""A whole evaluation, on photos whose answers are known."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.archive import extract_archive, read_model_card
from model.package import DEFAULT_ARCHIVE
from model.serving.onnx_model import OnnxModel
from tests.unit.training.colour_model import LABELS, write_colour_model
from training.calibrated import write_calibrated
from training.classification_metrics import tempered
from training.dataset import DataSet
from training.encodings import ENCODINGS, upright
from training.errors import TrainingError
from training.evaluate import Evaluation, Steps, evaluate
from training.evaluation_report import evaluation_page

COLOURS = {"blue": (40, 40, 210), "green": (40, 210, 40), "red": (210, 40, 40)}
QUIET = Steps(lambda _what, _count: None, lambda: None)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Per part and colour four photos; one blue photo of `test` lies in the folder `red`."""
    generator = np.random.default_rng(1)
    for part in ("train", "valid", "test"):
        for label, colour in COLOURS.items():
            folder = tmp_path / "photos" / part / label
            folder.mkdir(parents=True)
            for number in range(4):
                shown = COLOURS["blue"] if (part, label, number) == ("test", "red", 0) else colour
                noise = generator.normal(0, 10, (48, 64, 3))
                pixels = np.clip(np.array(shown) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_colour_model(tmp_path / "model")


def judged(model: Path, photos: Path, part: str | None = None) -> Evaluation:
    return evaluate(model, DataSet.scan(photos), part, None, QUIET)


def test_the_part_test_is_measured_and_the_wrong_folder_is_the_only_confusion(
    model: Path, photos: Path
) -> None:
    found = judged(model, photos)
    assert found.part == "test"
    assert found.top(1) == pytest.approx(11 / 12)
    assert found.top(5) == 1.0
    assert found.matrix.tolist() == [[4, 0, 0], [0, 4, 0], [1, 0, 3]]
    assert found.class_scores["red"].recall == 0.75
    assert found.measured_on == "12 photos, the part test of photos"


def test_temperature_is_fitted_on_validation_and_sharpens_a_model_that_is_too_modest(
    model: Path, photos: Path
) -> None:
    found = judged(model, photos)
    # Every validation photo is right, so the likeliest temperature is the lowest.
    assert found.calibration.temperature < 0.2
    assert found.calibration.fitted_on == "12 validation photos"
    assert found.calibration.threshold is not None
    assert found.calibration.threshold.coverage == 1.0


def test_without_a_validation_part_halves_judge_each_other(model: Path, photos: Path) -> None:
    assert "crosswise" in judged(model, photos, "valid").calibration.fitted_on


def test_every_encoding_keeps_its_label_but_grey_ones(model: Path, photos: Path) -> None:
    effects = {each.name: each for each in judged(model, photos).effects}
    assert set(effects) == set(ENCODINGS)
    for name, effect in effects.items():
        assert effect.rejected == 0, name
        assert (effect.same_label == 1.0) == ("grey" not in name), name
    assert effects["PNG"].confidence_change == pytest.approx(0, abs=1e-6)


def test_photo_on_its_side_is_upright_for_the_model(photos: Path) -> None:
    picture = Image.new("RGB", (40, 20), "red")
    picture.paste("blue", (0, 0, 20, 20))
    content = ENCODINGS["JPEG, lying on its side"](picture)
    assert Image.open(io.BytesIO(content)).size == (20, 40)
    again = upright(content)
    assert again.size == (40, 20)
    left = again.getpixel((5, 10))
    assert isinstance(left, tuple)
    assert left[2] > 200


def test_class_that_the_model_cannot_name_is_told(model: Path, photos: Path) -> None:
    (photos / "test" / "red").rename(photos / "test" / "purple")
    with pytest.raises(TrainingError, match="cannot name 1 of the 4 classes: purple"):
        judged(model, photos)


def test_missing_part_is_told(model: Path, photos: Path) -> None:
    with pytest.raises(TrainingError, match="no part exam"):
        judged(model, photos, "exam")


def test_file_that_is_no_photo_is_named_and_left_out(model: Path, photos: Path) -> None:
    (photos / "test" / "red" / "broken.jpg").write_bytes(b"text")
    found = judged(model, photos)
    assert len(found.measured.images) == 12
    assert "broken.jpg: not_an_image" in found.measured.rejected[0]


def test_photos_that_the_model_was_trained_on_are_called_so(tmp_path: Path, photos: Path) -> None:
    manifest = DataSet.scan(photos).manifest_sha256
    run = {"data_manifest_sha256": manifest}
    model = write_colour_model(tmp_path / "seen", training_run=run)
    assert judged(model, photos, "train").was_seen
    assert not judged(model, photos, "test").was_seen
    assert "which it was trained on" in judged(model, photos, "train").measured_on


def test_report_is_one_file_without_scripts_and_json_holds_the_same(
    model: Path, photos: Path
) -> None:
    for part in ("train", "valid", "test"):
        (photos / part / "red").rename(photos / part / "<script>")
    model_card = json.loads((model / "model.json").read_text())
    model_card["labels"] = ["blue", "green", "<script>"]
    (model / "model.json").write_text(json.dumps(model_card))

    found = judged(model, photos)

    html = evaluation_page(found)
    assert "<script" not in html
    assert "http" not in html
    assert "&lt;script&gt;, called blue: 1" in html
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["top1"] == found.top(1)
    assert content["classes"]["<script>"]["support"] == 4


def test_int8_is_measured_on_the_same_photos(model: Path, photos: Path, tmp_path: Path) -> None:
    destination = tmp_path / "int8.onnx"
    found = evaluate(model, DataSet.scan(photos), None, destination, QUIET)
    assert found.int8 is not None
    assert found.int8.top1 == pytest.approx(11 / 12)
    assert (found.int8.loss.only_first_right, found.int8.loss.only_second_right) == (0, 0)
    assert found.int8.is_recommended
    assert destination.read_bytes() != (model / "model.onnx").read_bytes()


def test_temperature_in_the_graph_is_the_temperature_on_paper(model: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 255, (5, 32, 32, 3), np.uint8)
    images[:, :, :, 0] //= 2
    plain = OnnxModel(model / "model.onnx").run(images).probabilities

    write_calibrated(model / "model.onnx", 0.25, tmp_path / "once.onnx")
    write_calibrated(tmp_path / "once.onnx", 8.0, tmp_path / "twice.onnx")

    once = OnnxModel(tmp_path / "once.onnx").run(images).probabilities
    twice = OnnxModel(tmp_path / "twice.onnx").run(images).probabilities
    assert once == pytest.approx(tempered(plain, 0.25), abs=1e-5)
    assert twice == pytest.approx(tempered(plain, 2.0), abs=1e-5)
    assert read_model_card(model / "model.json").labels == LABELS


def test_gate_is_left_as_it_is(tmp_path: Path) -> None:
    """The default model: its labels' softmax is scaled, the share that its gate looks at is not."""
    extract_archive(DEFAULT_ARCHIVE, tmp_path / "default")
    write_calibrated(tmp_path / "default" / "model.onnx", 2.0, tmp_path / "calibrated.onnx")
    images = np.full((1, 224, 224, 3), 90, np.uint8)
    plain = OnnxModel(tmp_path / "default" / "model.onnx").run(images)
    changed = OnnxModel(tmp_path / "calibrated.onnx").run(images)
    assert changed.known == pytest.approx(plain.known)
    assert changed.probabilities == pytest.approx(tempered(plain.probabilities, 2.0), abs=1e-5)
