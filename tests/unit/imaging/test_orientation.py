"""An image is turned as it says, wherever it says so."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, ImageOps, PngImagePlugin, features

from imaging import Prepared, prepare
from imaging.formats.orientation import read_orientation
from tests.unit.imaging.pictures import (
    SPEC,
    encode,
    exif_block,
    expected_pixels,
    mean_difference,
    photo,
    pixels,
    png_chunk,
    with_jpeg_segments,
    with_png_chunks,
    xmp_packet,
)

# What undoes each orientation, so that the displayed picture is `photo()` again.
_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def stored(orientation: int) -> Image.Image:
    return photo() if orientation == 1 else photo().transpose(_UNDO[orientation])


def pillow_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("format_name", "options"),
    [("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"lossless": True})],
)
def test_exif_orientation_is_followed(
    format_name: str, options: dict[str, object], orientation: int
) -> None:
    data = encode(stored(orientation), format_name, exif=pillow_exif(orientation), **options)
    outcome = prepare(data, SPEC)
    assert isinstance(outcome, Prepared)
    assert (outcome.width, outcome.height) == (600, 400)
    assert mean_difference(outcome.pixels, expected_pixels()) < 2


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_s_own_turn_is_followed(orientation: int) -> None:
    data = encode(stored(orientation), "AVIF", quality=95, exif=pillow_exif(orientation))
    assert mean_difference(pixels(data), expected_pixels()) < 2.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_crop_of_an_odd_side_lies_where_the_displayed_image_has_it(orientation: int) -> None:
    # 256 x 383 after the resize: the crop's offset is rounded, and a turn mirrors the rounding.
    odd = photo(256, 383)
    turned = odd if orientation == 1 else odd.transpose(_UNDO[orientation])
    data = encode(turned, "PNG", exif=pillow_exif(orientation))
    assert pixels(data) == pixels(encode(odd, "PNG"))


def test_xmp_orientation_counts_where_exif_has_none() -> None:
    jpeg = encode(stored(6), "JPEG", quality=95)
    namespace = b"http://ns.adobe.com/xap/1.0/\0"
    by_xmp = with_jpeg_segments(jpeg, (0xE1, namespace + xmp_packet(6)))
    assert mean_difference(pixels(by_xmp), expected_pixels()) < 2


def test_exif_goes_before_xmp() -> None:
    assert read_orientation(exif_block(3), xmp_packet(6)) == 3


def test_png_text_chunks_can_hold_the_orientation() -> None:
    png = encode(stored(6), "PNG")
    exif = b"Exif\0\0" + exif_block(6)
    hexadecimal = f"\nexif\n{len(exif):8}\n{exif.hex()}\n".encode()
    as_text = png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(hexadecimal))
    as_xmp = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_packet(6))
    for chunk in (as_text, as_xmp):
        assert pixels(with_png_chunks(png, chunk)) == expected_pixels()


def test_pillow_and_we_read_the_same_orientation() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp_packet(8).decode(), zip=True)
    png = encode(stored(8), "PNG", pnginfo=text)
    assert ImageOps.exif_transpose(Image.open(io.BytesIO(png))).tobytes() == photo().tobytes()
    assert pixels(png) == expected_pixels()


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"II*\0",
        b"MM\0*\0\0\0\x08",
        b"MM\0*\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff",
        exif_block(0),
        exif_block(9),
        exif_block(65_535),
        exif_block(6).replace(struct.pack(">HH", 0x0112, 3), struct.pack(">HH", 0x0112, 2)),
        exif_block(6)[:-8],
    ],
)
def test_damaged_exif_counts_as_absent(exif: bytes) -> None:
    assert read_orientation(exif, None) == 1
    jpeg = encode(photo(), "JPEG")
    assert pixels(with_jpeg_segments(jpeg, (0xE1, b"Exif\0\0" + exif))) == pixels(jpeg)


@pytest.mark.parametrize("byte_order", ["little", "big"])
def test_both_byte_orders_are_read(byte_order: str) -> None:
    exif = exif_block(7)
    if byte_order == "little":
        exif = b"II*\0" + struct.pack("<IHHHIHH", 8, 1, 0x0112, 3, 1, 7, 0) + b"\0\0\0\0"
    assert read_orientation(exif, None) == 7
