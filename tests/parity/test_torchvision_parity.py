"""Prepared pixels are those of torchvision's transforms on PIL images, the way models are trained.

The pictures are made here, with texture at every scale as photographs have; real photos were
measured with bench/prepare.py.
"""

from __future__ import annotations

import io
import random
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from imaging import ImageSpec, Prepared, prepare

torchvision = pytest.importorskip("torchvision", reason="training's extra is not installed")

Levels = npt.NDArray[np.int64]


def spec(interpolation: Literal["bilinear", "bicubic"], size: int, resize: int) -> ImageSpec:
    return ImageSpec(
        size=size,
        resize=resize,
        crop="center",
        interpolation=interpolation,
        mean=(127.0,) * 3,
        std=(128.0,) * 3,
        layout="NHWC",
    )


SPECS = [spec("bicubic", 224, 256), spec("bilinear", 224, 256), spec("bilinear", 224, 232)]


@cache
def textured(width: int, height: int) -> Image.Image:
    """Noise at many scales, coarse ones strongest."""
    chance = random.Random(width * height)  # noqa: S311 - the same picture in every run
    picture = Image.new("RGB", (width, height), (110, 120, 105))
    for octave in range(1, 9):
        cells = (2**octave * 4, 2**octave * 3)
        noise = Image.frombytes("RGB", cells, chance.randbytes(cells[0] * cells[1] * 3))
        layer = noise.resize((width, height), Image.Resampling.BICUBIC)
        picture = Image.blend(picture, layer, 0.45 / octave**0.5)
    return picture


def encode(image: Image.Image, format_name: str, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    options = {"quality": 90} if format_name == "JPEG" else {"compress_level": 0}
    image.save(file, format_name, exif=exif, **options)
    return file.getvalue()


def reference(data: bytes, image_spec: ImageSpec) -> Levels:
    transforms = torchvision.transforms
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    mode = transforms.InterpolationMode(image_spec.interpolation)
    image = transforms.Resize(image_spec.resize, mode)(image)
    levels: Levels = np.asarray(transforms.CenterCrop(image_spec.size)(image)).astype(np.int64)
    return levels


def differences(data: bytes, image_spec: ImageSpec) -> Levels:
    """Absolute differences, levels 0..255, [height, width, 3]."""
    outcome = prepare(data, image_spec)
    assert isinstance(outcome, Prepared), outcome
    ours = np.frombuffer(outcome.pixels, np.uint8).reshape(image_spec.size, image_spec.size, 3)
    found: Levels = np.abs(ours.astype(np.int64) - reference(data, image_spec))
    return found


@pytest.mark.parametrize("image_spec", SPECS, ids=lambda s: f"{s.interpolation} {s.resize}")
@pytest.mark.parametrize("orientation", [1, 6])
def test_twelve_megapixel_photo_differs_by_half_a_level_at_most(
    image_spec: ImageSpec, orientation: int
) -> None:
    data = encode(textured(4032, 3024), "JPEG", orientation)
    assert differences(data, image_spec).mean() <= 0.5


@pytest.mark.parametrize("image_spec", SPECS, ids=lambda s: f"{s.interpolation} {s.resize}")
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(500, 375), (375, 500)])
def test_small_photo_is_the_same(
    size: tuple[int, int], orientation: int, image_spec: ImageSpec
) -> None:
    data = encode(textured(*size), "JPEG", orientation)
    assert differences(data, image_spec).max() == 0


@pytest.mark.parametrize("image_spec", SPECS, ids=lambda s: f"{s.interpolation} {s.resize}")
@pytest.mark.parametrize(
    "size",
    [
        (224, 224),
        (256, 256),
        (257, 256),
        (255, 383),
        (1000, 1499),
        (640, 427),
        (500, 1000),
        (300, 999),
        (999, 300),
        (8, 9),
        (1, 1),
    ],
)
def test_crop_lies_on_the_very_pixel(size: tuple[int, int], image_spec: ImageSpec) -> None:
    assert differences(encode(textured(*size), "PNG"), image_spec).max() == 0


@pytest.mark.parametrize("size", [(2000, 1500), (1500, 2000), (1, 300), (300, 3), (6000, 40)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_large_and_extreme_images_differ_by_single_roundings(
    size: tuple[int, int], orientation: int
) -> None:
    found = differences(encode(textured(*size), "PNG", orientation), SPECS[0])
    assert found.max() <= 2
    assert found.mean() <= 0.4
