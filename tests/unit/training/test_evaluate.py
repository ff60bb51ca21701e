"""A whole evaluation, on photos whose answers are known."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archive.card import ArchiveError
from archive.reading import extract_archive
from model.onnx_temperature import temperature_of, write_calibrated
from model.package import DEFAULT_ARCHIVE, LEARNED_PHOTOS_NAME
from model.serving.onnx_model import OnnxModel
from tests.text_boxes import unreadable_texts
from tests.unit.training.colour_model import write_colour_model
from tests.unit.training.patterns import encoded
from training.data.dataset import DataSet, LabelledImage, file_sha256, spread
from training.data.learned_photos import LearnedPhoto, Use, learned_text
from training.data.looks import looks_of
from training.data.partition import partition
from training.errors import TrainingError
from training.evaluation import metrics as classification_metrics
from training.evaluation.calibration import calibrate
from training.evaluation.encodings import ENCODINGS, upright, working_copy
from training.evaluation.evaluate import Evaluation, Steps, evaluate
from training.evaluation.measure import Predicted, label_places
from training.evaluation.metrics import tempered
from training.evaluation.rows import PhotoRow, csv_text, rows_of
from training.reports.evaluation import evaluation_page

COLOURS = {"blue": (40, 40, 210), "green": (40, 210, 40), "red": (210, 40, 40)}
QUIET = Steps(lambda _what, _count: None, lambda: None)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


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
    assert found.judged.part == "test"
    assert found.top(1) == pytest.approx(11 / 12)
    assert found.top(5) == 1.0
    assert found.matrix.tolist() == [[4, 0, 0], [0, 4, 0], [1, 0, 3]]
    assert found.class_scores["red"].recall == 0.75
    assert found.measured_on == "12 photos, the part test of photos"


def test_temperature_is_fitted_on_validation_and_sharpens_a_model_that_is_too_modest(
    tmp_path: Path, photos: Path
) -> None:
    modest = write_colour_model(tmp_path / "modest", sharpness=1.0)
    calibration = judged(modest, photos).calibration
    assert 0.1 < calibration.temperature < 0.5
    assert calibration.fitted_on == "12 validation photos"
    assert calibration.threshold is not None
    assert calibration.threshold.coverage == 1.0


def said(confidences: list[float], right: list[bool]) -> Predicted:
    """Photos of two classes, by the confidence of the likelier one, the first."""
    first = np.array(confidences)
    return Predicted(
        images=(),
        probabilities=np.stack([first, 1 - first], axis=1),
        truth=np.where(right, 0, 1),
        gated=np.zeros(len(first), bool),
        rejected=(),
    )


def test_review_threshold_is_judged_on_photos_that_it_was_not_chosen_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classification_metrics, "fit_temperature", lambda *_: 1.0)
    validation = said([0.9, 0.8, 0.6], [True, True, False])
    measured = said([0.95, 0.85, 0.7, 0.6], [True, False, False, True])

    calibration = calibrate(measured, validation)

    assert calibration.threshold is not None
    assert calibration.threshold.confidence == pytest.approx(0.8)
    assert (calibration.coverage, calibration.accuracy) == (0.5, 0.5)


def test_without_validation_each_half_is_reviewed_by_the_threshold_of_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classification_metrics, "fit_temperature", lambda *_: 1.0)
    # Even photos: .9 right, .6 wrong: threshold .9. Odd ones: .95 wrong, .7 right: none.
    measured = said([0.9, 0.95, 0.6, 0.7], [True, False, False, True])

    calibration = calibrate(measured, None)

    # Of the odd ones .95 is above .9, and wrong; of the even ones nothing is above.
    assert (calibration.coverage, calibration.accuracy) == (0.25, 0.0)


def test_where_no_confidence_is_enough_everything_is_for_review() -> None:
    calibration = calibrate(said([0.9], [True]), said([0.9], [False]))
    assert (calibration.threshold, calibration.coverage, calibration.accuracy) == (None, 0.0, None)


def test_without_a_validation_part_halves_judge_each_other(
    model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(photos / "valid")
    seen: list[int] = []

    def fitted(probabilities: object, truth: np.ndarray[Any, Any], before: float) -> float:
        seen.append(len(truth))
        return 2.0 if len(truth) == 12 else 0.5

    monkeypatch.setattr(classification_metrics, "fit_temperature", fitted)
    calibration = judged(model, photos).calibration
    assert seen == [12, 6, 6]
    assert calibration.temperature == 2.0
    measured = judged(model, photos).measured
    halves = tempered(measured.probabilities, 0.5)
    expected = classification_metrics.expected_calibration_error(halves, measured.truth)
    assert calibration.ece_after == pytest.approx(expected)
    assert "cross-fitted" in calibration.fitted_on


def test_every_encoding_keeps_its_label_but_grey_ones(model: Path, photos: Path) -> None:
    effects = {each.name: each for each in judged(model, photos).effects}
    assert set(effects) == set(ENCODINGS)
    for name, effect in effects.items():
        assert effect.rejected == 0, name
        assert (effect.same_label == 1.0) == ("grey" not in name), name
    assert effects["PNG"].confidence_change == pytest.approx(0, abs=1e-6)
    # Eleven of the twelve are right as they are; grey, all are called blue, four of them rightly.
    assert effects["PNG"].top1_change == 0
    assert effects["JPEG, grey"].top1_change < -0.3


def test_large_photo_is_encoded_at_the_size_that_messengers_send() -> None:
    content = encoded(Image.new("RGB", (2048, 1024), "red"))
    assert working_copy(content).size == (1024, 512)
    assert working_copy(encoded(Image.new("RGB", (40, 20), "red"))).size == (40, 20)


def test_photos_of_the_report_come_from_all_over() -> None:
    images = [LabelledImage(Path(str(number)), number, None) for number in range(150)]
    chosen = [image.class_index for image in spread(images, 100)]
    assert len(set(chosen)) == 100
    assert max(np.diff(chosen)) == 2
    assert chosen[-1] >= 148
    assert spread(images[:3], 100) == tuple(images[:3])
    assert spread([], 100) == ()


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


def test_labels_match_in_another_case_only_where_that_is_clear() -> None:
    assert label_places(("pug", "Tea"), ("Pug", "Tea")) == {"Pug": 0, "Tea": 1}
    assert label_places(("BMW", "bmw"), ("bmw", "BMW")) == {"BMW": 0, "bmw": 1}
    assert label_places(("BMW", "bmw"), ("Bmw",)) == {}
    assert label_places(("bmw",), ("bmw", "BMW")) == {"bmw": 0}


def test_folders_may_have_the_names_that_people_use() -> None:
    labels = ("malamute", "japanese_spaniel", "toy_poodle", "standard_poodle")
    names = {
        "malamute": ("Alaskan Malamute",),
        "japanese_spaniel": ("Japanese Chin",),
        "toy_poodle": ("Toy Poodle", "poodle"),
        "standard_poodle": ("Standard Poodle", "poodle"),
    }
    assert label_places(labels, ("Alaskan_malamute", "japanese-spaniel", "Poodle"), names) == {
        "Alaskan_malamute": 0,
        "japanese-spaniel": 1,
    }


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


def trained_on(photos: Path, folder: Path, **run: object) -> Path:
    """A model whose card says that it was trained on the photos."""
    manifest = DataSet.scan(photos).manifest_sha256
    return write_colour_model(
        folder, training_run={"data_manifest_sha256": manifest, "images_left_out": 0} | run
    )


def test_photos_that_the_model_was_trained_on_are_called_so(tmp_path: Path, photos: Path) -> None:
    model = trained_on(photos, tmp_path / "seen")
    assert judged(model, photos, "train").judged.was_seen
    assert not judged(model, photos, "test").judged.was_seen
    assert "which it was trained on" in judged(model, photos, "train").measured_on
    valid = judged(model, photos, "valid")
    assert not valid.judged.was_seen
    assert "chose its epoch" in valid.measured_on


def test_after_folds_the_validation_photos_were_trained_on_and_calibrate_nothing(
    tmp_path: Path, photos: Path
) -> None:
    model = trained_on(photos, tmp_path / "folds", hyperparameters={"folds": 4, "seed": 1})
    assert judged(model, photos, "valid").judged.was_seen
    on_test = judged(model, photos)
    assert not on_test.judged.was_seen
    assert "cross-fitted" in on_test.calibration.fitted_on


@pytest.mark.parametrize("left_out", [0, 1])
def test_of_photos_without_parts_those_are_judged_that_training_kept_back(
    tmp_path: Path, photos: Path, left_out: int
) -> None:
    flat = photos / "train"
    if left_out:
        (flat / "red" / "0a-broken.jpg").write_bytes(b"text")
    # As training does it: what cannot be prepared is left out, then the rest is split.
    usable = [each for each in DataSet.scan(flat).images if "broken" not in each.path.name]
    parts = partition(usable, seed=7)
    model = trained_on(
        flat, tmp_path / "flat", images_left_out=left_out, hyperparameters={"seed": 7, "folds": 0}
    )

    found = judged(model, flat)

    assert not found.judged.was_seen
    assert found.judged.images == tuple(usable[place] for place in parts.valid)
    assert found.judged.training == tuple(usable[place] for place in parts.train)
    assert found.measured_on.startswith(f"{len(parts.valid)} photos, the part valid of train (")


def remembering(model: Path, photos: dict[Path, Use]) -> Path:
    """Gives the model the list of these photos, by their bytes and looks."""
    images = [LabelledImage(path, 0, None) for path in photos]
    digests = [file_sha256(path) for path in photos]
    looks = looks_of(images, digests, model.parent / "looks")
    learned = map(LearnedPhoto.of, digests, looks, photos.values())
    (model / LEARNED_PHOTOS_NAME).write_bytes(learned_text(learned))
    return model


def test_every_leaked_photo_is_named_whatever_it_is_called(model: Path, photos: Path) -> None:
    """The data set was split anew: its hash as a whole is another, its photos are not."""
    test = photos / "test"
    remembering(
        model,
        {
            test / "blue" / "0.png": "train",
            test / "green" / "1.png": "valid",
            photos / "train" / "red" / "2.png": "train",
        },
    )
    (test / "blue" / "0.png").rename(test / "blue" / "another name.png")
    # The same photo, saved as another file.
    Image.open(photos / "train" / "red" / "2.png").save(test / "red" / "9.webp", lossless=True)

    found = judged(model, photos)

    assert {row.path: row.known_by for row in found.leaked} == {
        "test/blue/another name.png": "learned",
        "test/green/1.png": "chose the epoch",
        "test/red/9.webp": "learned (a copy)",
    }
    content = found.to_json()
    assert content["leaked"] == [row.path for row in found.leaked]
    page = evaluation_page(found)
    assert "The model knows 3 of these 13 photos" in page
    assert all(f"<li>{row.path}: {row.known_by}</li>" in page for row in found.leaked)
    # One of the ten new photos is in the wrong folder.
    assert content["top1_of_new_photos"] == pytest.approx(9 / 10)
    assert not found.judged.was_seen


def test_model_that_learned_from_all_is_told_by_their_bytes(model: Path, photos: Path) -> None:
    remembering(model, dict.fromkeys((photos / "test").rglob("*.png"), "train"))
    found = judged(model, photos)
    assert found.judged.was_seen
    assert "which it was trained on" in found.measured_on
    assert found.top1_of_new_photos is None


def test_photos_that_were_learned_from_calibrate_nothing(model: Path, photos: Path) -> None:
    valid = sorted((photos / "valid").rglob("*.png"))
    uses: list[Use] = ["train"] * 8 + ["valid"] * 4
    remembering(model, dict(zip(valid, uses, strict=True)))
    assert judged(model, photos).calibration.fitted_on == "4 validation photos"


def test_of_photos_without_parts_the_list_says_which_were_kept_back(
    tmp_path: Path, photos: Path
) -> None:
    flat = photos / "train"
    paths = sorted(flat.rglob("*.png"))
    uses: list[Use] = ["valid" if place % 4 == 0 else "train" for place in range(12)]
    model = trained_on(flat, tmp_path / "flat")
    remembering(model, dict(zip(paths, uses, strict=True)))

    found = judged(model, flat)

    assert [image.path for image in found.judged.images] == paths[::4]
    assert len(found.judged.training) == 9
    assert {row.known_by for row in found.rows} == {"chose the epoch"}


def test_each_photo_has_a_row_with_its_best_labels_and_its_loss(model: Path, photos: Path) -> None:
    found = judged(model, photos)
    assert [row.path for row in found.rows] == [
        f"test/{label}/{number}.png" for label in COLOURS for number in range(4)
    ]
    (wrong,) = (row for row in found.rows if not row.is_right)
    assert (wrong.path, wrong.truth, wrong.best[0][0]) == ("test/red/0.png", "red", "blue")
    assert wrong.loss == max(row.loss for row in found.rows)
    for row, shares, truth in zip(
        found.rows, found.measured.probabilities, found.measured.truth, strict=True
    ):
        assert [share for _, share in row.best] == pytest.approx(sorted(shares, reverse=True))
        assert row.loss == pytest.approx(-np.log(shares[truth]))
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["log_loss"] == pytest.approx(np.mean([row.loss for row in found.rows]))
    assert content["photos"][0]["best"][0]["label"] == "blue"


def test_rows_are_read_by_a_csv_reader_and_start_no_formula() -> None:
    row = PhotoRow("=1+1,\n.png", "-cat", (("-cat", 0.75), ("d\u00f6g", 0.25)), 0.5, False, None)
    (read,) = csv.DictReader(io.StringIO(csv_text([row])))
    assert read == {
        "path": "./=1+1,\n.png",
        "truth": "'-cat",
        "right": "true",
        "loss": "0.5",
        "label_1": "'-cat",
        "confidence_1": "0.75",
        "label_2": "d\u00f6g",
        "confidence_2": "0.25",
        **{f"{what}_{rank}": "" for rank in (3, 4, 5) for what in ("label", "confidence")},
        "gated": "false",
        "known_by": "",
    }


def test_loss_of_a_label_without_any_probability_is_a_number() -> None:
    image = LabelledImage(Path("data/cat/1.jpg"), 0, None)
    sure = Predicted(
        (image,), np.array([[0.0, 1.0]], np.float32), np.array([0]), np.array([False]), ()
    )
    (row,) = rows_of(sure, ("cat", "dog"), Path("data"), {})
    assert 100 < row.loss < 110
    assert row.best == (("dog", 1.0), ("cat", 0.0))


def test_photos_of_others_without_parts_are_all_judged(model: Path, photos: Path) -> None:
    found = judged(model, photos / "train")
    assert len(found.measured.images) == 12
    assert not found.judged.was_seen


def test_weights_of_another_model_are_refused(model: Path, photos: Path) -> None:
    with (model / "model.onnx").open("ab") as file:
        file.write(b"0")
    with pytest.raises(ArchiveError, match="not the file"):
        judged(model, photos)


def test_int8_does_not_choose_its_ranges_by_the_photos_that_judge_it(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    shutil.rmtree(photos / "train")
    with pytest.raises(TrainingError, match="no training photos"):
        evaluate(model, DataSet.scan(photos), None, tmp_path / "int8.onnx", QUIET)
    assert not (tmp_path / "int8.onnx").exists()


def test_speed_says_how_long_a_photo_takes_alone_and_in_a_batch(model: Path, photos: Path) -> None:
    speed = judged(model, photos).speed
    assert speed.images == 12
    assert 0 < speed.prepare.latency_ms <= speed.prepare.latency_p95_ms
    assert speed.images_per_cpu_second == pytest.approx(
        1000 / (speed.prepare.cpu_ms + speed.model_batch_cpu_ms)
    )


def test_evaluation_needs_neither_torch_nor_onnx() -> None:
    program = (
        "import sys; import imagedrop.commands.evaluate, training.evaluation.evaluate;"
        "import training.reports.evaluation;"
        "print({'torch', 'onnx'} & sys.modules.keys())"
    )
    root = Path(__file__).parents[3]
    paths = os.pathsep.join([str(root / "functions"), str(root)])
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert found.stdout.strip() == "set()"


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
    assert unreadable_texts(html) == []
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["top1"] == found.top(1)
    assert content["classes"]["<script>"]["support"] == 4
    assert content["confusion_matrix"]["rows"] == [[4, 0, 0], [0, 4, 0], [1, 0, 3]]
    assert content["confusions"] == [
        {"true": "<script>", "called": "blue", "count": 1, "example": "test/<script>/0.png"}
    ]
    assert sum(each["count"] for each in content["reliability"]) == 12


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
    assert temperature_of(model / "model.onnx") == 1.0
    assert temperature_of(tmp_path / "twice.onnx") == pytest.approx(2.0)


def test_gate_is_left_as_it_is(tmp_path: Path) -> None:
    """The default model: its labels' softmax is scaled, the share that its gate looks at is not."""
    extract_archive(DEFAULT_ARCHIVE, tmp_path / "default")
    write_calibrated(tmp_path / "default" / "model.onnx", 2.0, tmp_path / "calibrated.onnx")
    images = np.full((1, 224, 224, 3), 90, np.uint8)
    plain = OnnxModel(tmp_path / "default" / "model.onnx").run(images)
    changed = OnnxModel(tmp_path / "calibrated.onnx").run(images)
    assert changed.known == pytest.approx(plain.known)
    assert changed.probabilities == pytest.approx(tempered(plain.probabilities, 2.0), abs=1e-5)
