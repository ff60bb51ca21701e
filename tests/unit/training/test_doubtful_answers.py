"""Doubtful labels of a training's answers out of fold are shown with their photos."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from imagedrop.cli import app
from tests.unit.training.colour_model import write_colour_model
from tests.unit.training.patterns import encoded, picture, write
from training.data.dataset import DataSet, file_sha256
from training.evaluation.doubtful import doubtful_by_answers
from training.statistics.out_of_fold import OutOfFold, write_out_of_fold

LABELS = ("blue", "green", "red")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(12):
        write(tmp_path, f"photos/{LABELS[number % 3]}/{number}.png", encoded(picture(number)))
    return tmp_path / "photos"


def answered(data: DataSet) -> OutOfFold:
    """All are sure of their labels, but the second photo, which should be red."""
    truth = np.array([image.class_index for image in data.images])
    logits = 4 * np.eye(3, dtype=np.float32)[truth]
    logits[1] = (0, 0, 6)
    return OutOfFold(
        kind="folds",
        labels=data.classes,
        paths=tuple(image.path.name for image in data.images),
        digests=tuple(file_sha256(image.path) for image in data.images),
        truth=truth,
        seeds=(1,),
        fold=np.zeros((1, len(truth)), np.int64),
        logits=logits[None],
    )


def test_photo_is_found_by_its_bytes_wherever_it_is_now(photos: Path, tmp_path: Path) -> None:
    answers = answered(DataSet.scan(photos))
    for number, photo in enumerate(sorted(photos.glob("*/*"))):
        write(tmp_path, f"now/{photo.parent.name}/renamed{number}.png", photo.read_bytes())
    shutil.rmtree(photos)

    (found,) = doubtful_by_answers(answers, DataSet.scan(tmp_path / "now"))

    assert found.image.path.name == "renamed1.png"
    assert (found.suggested, found.is_confident) == ("red", True)


def test_corrected_label_is_not_doubted_any_more_and_a_spoilt_one_is(photos: Path) -> None:
    data = DataSet.scan(photos)
    answers = answered(data)
    corrected, spoilt = data.images[1].path, data.images[2].path
    corrected.rename(photos / "red" / corrected.name)
    spoilt.rename(photos / "green" / spoilt.name)

    (found,) = doubtful_by_answers(answers, DataSet.scan(photos))

    assert (found.image.path.name, found.suggested) == (spoilt.name, "blue")


def test_photo_under_a_label_that_the_training_lacked_is_passed_over(photos: Path) -> None:
    data = DataSet.scan(photos)
    answers = answered(data)
    (photos / "violet").mkdir()
    data.images[1].path.rename(photos / "violet" / "photo.png")

    assert doubtful_by_answers(answers, DataSet.scan(photos)) == ()


def test_photos_that_are_gone_are_left_out(photos: Path, tmp_path: Path) -> None:
    data = DataSet.scan(photos)
    answers = answered(data)
    data.images[1].path.unlink()

    assert doubtful_by_answers(answers, DataSet.scan(photos)) == ()


def test_evaluation_shows_them(photos: Path, tmp_path: Path) -> None:
    write_out_of_fold(answered(DataSet.scan(photos)), tmp_path / "training-output")
    arguments = [str(write_colour_model(tmp_path / "model")), "--data", str(photos)]
    arguments += ["--answers", str(tmp_path / "training-output")]

    done = CliRunner().invoke(app, ["evaluate", *arguments, "--output-dir", str(tmp_path / "out")])

    assert done.exit_code == 0, done.output
    page = (tmp_path / "out" / "evaluation.html").read_text().replace("<wbr>", "")
    assert "Doubtful labels (1)" in page
    assert "rather red" in page
    assert '"suggested": "red"' in (tmp_path / "out" / "evaluation.json").read_text()
