"""The same photos in other encodings and conditions."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imaging import ImageSpec, Prepared, prepare
from tests.heic_files import file_bytes
from tests.unit.training.evaluation.judging import judged
from tests.unit.training.patterns import encoded
from training.data.dataset import LabelledImage, spread
from training.evaluation import robustness as robustness_module
from training.evaluation.conditions import CONDITIONS
from training.evaluation.encodings import ENCODINGS, upright, working_copy
from training.evaluation.robustness import Robustness
from training.reports.evaluation import evaluation_page

SMALL = ImageSpec(32, 32, "center", "bicubic", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "NHWC")


def test_every_encoding_keeps_its_label_but_grey_ones(model: Path, photos: Path) -> None:
    measured = judged(model, photos, in_conditions=True).robustness.encodings
    effects = {each.name: each for each in measured}
    assert set(effects) == set(ENCODINGS)
    for name, effect in effects.items():
        assert effect.rejected == 0, name
        assert (effect.same_label == 1.0) == ("grey" not in name), name
    assert effects["PNG"].confidence_change == pytest.approx(0, abs=1e-6)
    # Eleven of the twelve are right as they are; grey, all are called blue, four of them rightly.
    assert effects["PNG"].top1_change == 0
    assert effects["JPEG, grey"].top1_change < -0.3


def test_every_condition_is_measured_on_the_same_photos(model: Path, photos: Path) -> None:
    found = judged(model, photos, in_conditions=True)

    effects = {each.name: each for each in found.robustness.conditions}
    assert set(effects) == set(CONDITIONS)
    # The model tells colours: only without them it is lost.
    for name in ("turned by 90°", "upside down", "blurred", "tiny, 48 pixels"):
        assert effects[name].same_label == 1.0, name
        assert effects[name].top1_change == 0, name
    assert effects["grey"].top1_change < -0.3
    assert found.robustness.weakest == effects["grey"]
    assert [each["name"] for each in found.to_json()["conditions"]] == list(CONDITIONS)
    assert "far, a third of the side" in evaluation_page(found)


def test_conditions_can_be_left_out(model: Path, photos: Path) -> None:
    found = judged(model, photos, in_conditions=False)

    assert found.robustness == Robustness()
    assert found.to_json()["conditions"] == found.to_json()["encodings"] == []
    assert "in other" not in evaluation_page(found)


def shown(name: str, picture: Image.Image) -> Image.Image:
    """The photo of a picture in this condition."""
    return Image.open(io.BytesIO(CONDITIONS[name](picture)))


def test_conditions_are_what_their_names_say() -> None:
    picture = Image.new("RGB", (300, 150), (200, 100, 50))
    picture.paste((0, 0, 0), (0, 0, 30, 30))

    assert shown("turned by 90°", picture).size == (150, 300)
    assert "exif" not in shown("turned by 90°", picture).info
    assert shown("upside down", picture).getpixel((299, 149)) == (0, 0, 0)
    assert shown("tiny, 48 pixels", picture).size == (48, 24)
    assert shown("dark", picture).getpixel((200, 100)) == (80, 40, 20)
    assert len(set(shown("grey", picture).getpixel((200, 100)))) == 1  # type: ignore[arg-type]
    edge = shown("blurred", picture).getpixel((30, 15))
    assert isinstance(edge, tuple)
    assert 20 < edge[0] < 180


def test_subject_that_is_far_has_a_third_of_the_side() -> None:
    picture = Image.new("RGB", (300, 150), "white")
    picture.paste("black", (150, 0, 300, 150))

    far = shown("far, a third of the side", picture)

    assert far.size == (300, 150)
    levels = [far.getpixel((x, 75)) for x in (50, 110, 190, 250)]
    assert levels == [(128,) * 3, (255,) * 3, (0,) * 3, (128,) * 3]


def test_photo_of_one_pixel_survives_every_condition() -> None:
    for name in CONDITIONS:
        assert shown(name, Image.new("RGB", (1, 1))).size == (1, 1)


def test_large_photo_is_encoded_at_the_size_that_messengers_send() -> None:
    content = encoded(Image.new("RGB", (2048, 1024), "red"))
    assert working_copy(content).size == (1024, 512)
    assert working_copy(encoded(Image.new("RGB", (40, 20), "red"))).size == (40, 20)


def test_photo_of_a_phone_is_encoded_as_others_are() -> None:
    content = file_bytes("photo")
    shown = prepare(content, SMALL)
    assert isinstance(shown, Prepared)

    picture = working_copy(content)

    assert (picture.mode, picture.size) == ("RGB", (shown.width, shown.height))
    again = prepare(ENCODINGS["PNG"](picture), SMALL)
    assert isinstance(again, Prepared)
    difference = np.subtract(list(again.pixels), list(shown.pixels))
    assert np.abs(difference).mean() < 1
    assert max(upright(content, 40).size) == 40


def test_damaged_photo_of_a_phone_cannot_be_decoded() -> None:
    with pytest.raises(OSError, match="box"):
        upright(file_bytes("photo")[:200])


def test_photos_of_phones_are_evaluated(model: Path, photos: Path) -> None:
    for label in ("blue", "green", "red"):
        (photos / "test" / label / "phone.heic").write_bytes(file_bytes("photo"))

    found = judged(model, photos, "test", in_conditions=True)

    assert len(found.measured.images) == 15
    assert all(each.rejected == 0 for each in found.robustness.encodings)
    assert "in other" in evaluation_page(found)


def test_photo_that_has_no_working_copy_is_rejected_in_every_form(
    model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copied(content: bytes) -> Image.Image:
        if content == spoiled:
            raise OSError("too many pixels")
        return working_copy(content)

    spoiled = (photos / "test" / "blue" / "0.png").read_bytes()
    monkeypatch.setattr(robustness_module, "working_copy", copied)

    found = judged(model, photos, "test", in_conditions=True).robustness

    assert {each.rejected for each in (*found.encodings, *found.conditions)} == {1}


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
