"""A whole evaluation, on photos whose answers are known."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from archive.card import ArchiveError
from tests.text_boxes import unreadable_texts
from tests.unit.training.evaluation.judging import judged, quietly
from training.data.dataset import DataSet
from training.errors import TrainingError
from training.evaluation.evaluate import evaluate
from training.evaluation.measure import label_places
from training.reports.evaluation import evaluation_page


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
        evaluate(model, DataSet.scan(photos), None, tmp_path / "int8.onnx", quietly)
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
    found = evaluate(model, DataSet.scan(photos), None, destination, quietly)
    assert found.int8 is not None
    assert found.int8.top1 == pytest.approx(11 / 12)
    assert (found.int8.loss.only_first_right, found.int8.loss.only_second_right) == (0, 0)
    assert found.int8.is_recommended
    assert destination.read_bytes() != (model / "model.onnx").read_bytes()


def test_of_many_classes_the_confused_ones_come_first(model: Path, photos: Path) -> None:
    found = judged(model, photos)
    labels = tuple(f"breed_{place}" for place in range(133))
    truth = np.arange(133)
    called = np.where(truth == 7, 90, truth)
    measured = replace(
        found.measured,
        images=found.measured.images[:1] * 133,
        probabilities=np.eye(133)[called],
        truth=truth,
        gated=np.zeros(133, bool),
    )

    html = evaluation_page(
        replace(found, card=replace(found.card, labels=labels), measured=measured)
    )

    first, whole = html.index('class="matrix"'), html.index("The matrix of all 133 classes")
    assert first < whole
    assert "breed_7, called breed_90: 1" in html[first:whole]
    assert "breed_8" not in html[first:whole]
    assert "breed_8, called breed_8: 1" in html[whole:]
