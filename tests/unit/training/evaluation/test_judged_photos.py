"""Photos that the model was trained on are named, and are not used for calibration."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from model.package import LEARNED_PHOTOS_NAME
from tests.unit.training.colour_model import write_colour_model
from tests.unit.training.evaluation.judging import judged
from training.data.dataset import DataSet, LabelledImage, file_sha256
from training.data.learned_photos import LearnedPhoto, Use, learned_text
from training.data.looks import looks_of
from training.data.partition import partition
from training.reports.evaluation import evaluation_page


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
    on_valid = judged(model, photos, "valid")
    assert on_valid.judged.was_seen
    assert "chose its epoch" not in on_valid.measured_on
    assert on_valid.calibration.fitted_on is None
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


def test_after_folds_on_all_photos_nothing_is_fitted_on_them(tmp_path: Path, photos: Path) -> None:
    flat = photos / "train"
    model = trained_on(flat, tmp_path / "folds", hyperparameters={"folds": 4, "seed": 1})
    for kept_a_list in (False, True):
        if kept_a_list:
            remembering(model, dict.fromkeys(flat.rglob("*.png"), "train"))
        found = judged(model, flat)
        calibration = found.calibration
        assert found.judged.was_seen
        assert (calibration.temperature, calibration.threshold) == (1.0, None)
        assert calibration.fitted_on is None
        assert calibration.ece_after == calibration.ece_before
        assert "None is fitted" in evaluation_page(found)


def test_of_measured_photos_only_those_that_are_new_are_fitted_on(
    model: Path, photos: Path
) -> None:
    flat = photos / "train"
    paths = sorted(flat.rglob("*.png"))
    remembering(model, dict.fromkeys(paths[:7], "train"))
    fitted_on = judged(model, flat).calibration.fitted_on
    assert fitted_on == (
        "the 5 of 12 measured photos that the model did not learn from; cross-fitted by halves"
    )


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


def test_photos_of_others_without_parts_are_all_judged(model: Path, photos: Path) -> None:
    found = judged(model, photos / "train")
    assert len(found.measured.images) == 12
    assert not found.judged.was_seen
