"""Thumbnails: the whole photo as it is displayed, small, of untrusted files."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from imaging import Rejection, RejectReason
from imaging.outcome import Thumbnail
from imaging.thumbnail import make_thumbnail
from tests.unit.imaging.pictures import encode, exif_block, photo


def opened(found: Thumbnail | Rejection) -> Image.Image:
    assert isinstance(found, Thumbnail)
    image = Image.open(io.BytesIO(found.webp))
    assert (image.format, image.size) == ("WEBP", (found.width, found.height))
    return image


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("size", [256, 1024])
def test_the_longer_side_is_as_asked_and_nothing_is_cropped_or_enlarged(
    format_name: str, size: int
) -> None:
    made = opened(make_thumbnail(encode(photo(600, 400), format_name), size))
    assert made.size == ((256, 171) if size == 256 else (600, 400))


def test_it_shows_the_photo() -> None:
    made = opened(make_thumbnail(encode(photo(600, 400), "PNG"), 64)).convert("RGB")
    wanted = photo(600, 400).convert("RGB").resize(made.size, Image.Resampling.BICUBIC)
    pairs = zip(made.tobytes(), wanted.tobytes(), strict=True)
    assert sum(abs(left - right) for left, right in pairs) / len(made.tobytes()) < 10


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_it_is_turned_as_displayed(orientation: int) -> None:
    corner = Image.new("RGB", (600, 400), "blue")
    corner.paste("red", (0, 0, 300, 200))
    data = encode(corner, "JPEG", exif=b"Exif\0\0" + exif_block(orientation))
    made = opened(make_thumbnail(data, 256)).convert("RGB")
    assert made.size == ((256, 171) if orientation in (1, 3) else (171, 256))
    width, height = made.size
    places = {
        1: (0.25, 0.25), 3: (0.75, 0.75), 6: (0.75, 0.25), 8: (0.25, 0.75),
    }  # fmt: skip
    across, down = places[orientation]
    red, _, blue = made.getpixel((int(across * width), int(down * height)))  # type: ignore[misc]
    assert red > 200
    assert blue < 60


def test_metadata_stays_in_the_photo() -> None:
    data = encode(photo(), "JPEG", exif=b"Exif\0\0" + exif_block(1), comment=b"where I live")
    found = make_thumbnail(data, 256)
    assert isinstance(found, Thumbnail)
    assert opened(found).getexif() == {}
    assert b"where I live" not in found.webp


def test_the_longest_panorama_is_one_pixel_high() -> None:
    made = opened(make_thumbnail(encode(Image.new("L", (32_000, 4)), "PNG"), 256))
    assert made.size == (256, 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", RejectReason.EMPTY),
        (b"<svg onload=alert(1)>", RejectReason.UNSUPPORTED_FORMAT),
        (encode(photo(), "JPEG")[:2000], RejectReason.TRUNCATED),
    ],
)
def test_what_is_rejected_has_no_thumbnail(data: bytes, reason: RejectReason) -> None:
    found = make_thumbnail(data, 256)
    assert isinstance(found, Rejection)
    assert found.reason is reason
