"""How a photo looks is told by three digits that follow its light, contrast and blur."""

from __future__ import annotations

import pytest
from PIL import Image, ImageEnhance, ImageFilter

from imaging.appearance import EDGES, appearance_of, measure

SIZE = 224


def noisy() -> Image.Image:
    return Image.effect_noise((SIZE, SIZE), 90).convert("RGB")


def test_a_flat_grey_has_its_level_and_no_contrast() -> None:
    assert measure(bytes([100]) * (SIZE * SIZE * 3)) == (100, 0, 0)


def test_a_darker_a_flatter_and_a_blurred_photo_have_lower_tenths() -> None:
    photo = noisy()
    dark = ImageEnhance.Brightness(photo).enhance(0.4)
    flat = ImageEnhance.Contrast(photo).enhance(0.2)
    blurred = photo.filter(ImageFilter.GaussianBlur(4))
    brightness, contrast, sharpness = appearance_of(photo.tobytes())
    assert appearance_of(dark.tobytes())[0] < brightness
    assert appearance_of(flat.tobytes())[1] < contrast
    assert appearance_of(blurred.tobytes())[2] < sharpness


def test_the_sampled_mean_is_close_to_that_of_all_pixels() -> None:
    gradient = Image.linear_gradient("L").resize((SIZE, SIZE)).convert("RGB")
    for photo in (gradient, gradient.rotate(90)):
        every = photo.getchannel("G").tobytes()
        assert measure(photo.tobytes())[0] == pytest.approx(sum(every) / len(every), abs=6)


@pytest.mark.parametrize("size", [8, 32, 224, 380])
def test_images_of_any_size_have_three_tenths(size: int) -> None:
    found = appearance_of(Image.new("RGB", (size, size), "white").tobytes())
    assert found == "900"
    assert len(found) == len(EDGES)
