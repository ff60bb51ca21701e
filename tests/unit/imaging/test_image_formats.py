"""Every format and colour mode comes out as the picture that a person sees."""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageCms, ImageFile, features

from imaging import Prepared, RejectReason, prepare
from tests.unit.imaging.pictures import (
    SPEC,
    encode,
    expected_pixels,
    mean_difference,
    photo,
    pixels,
    png_chunk,
    reject_reason,
    rejection,
    with_jpeg_segments,
    with_png_chunks,
)

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")


@pytest.mark.parametrize(
    ("format_name", "options", "most"),
    [
        ("JPEG", {"quality": 95}, 2.0),
        ("JPEG", {"quality": 95, "progressive": True, "subsampling": 0}, 1.5),
        ("PNG", {}, 0.0),
        ("BMP", {}, 0.0),
        ("WEBP", {"lossless": True}, 0.0),
        ("WEBP", {"quality": 95}, 2.5),
        pytest.param("AVIF", {"quality": 95}, 2.5, marks=needs_avif),
    ],
)
def test_format_is_read(format_name: str, options: dict[str, object], most: float) -> None:
    outcome = prepare(encode(photo(), format_name, **options), SPEC)
    assert isinstance(outcome, Prepared)
    assert (outcome.format, outcome.width, outcome.height) == (format_name, 600, 400)
    assert len(outcome.pixels) == SPEC.image_bytes
    assert mean_difference(outcome.pixels, expected_pixels()) <= most


@pytest.mark.parametrize("format_name", ["GIF", "TIFF", "ICO", "JPEG2000"])
def test_other_image_formats_are_named_in_the_rejection(format_name: str) -> None:
    outcome = rejection(encode(photo(64, 64), format_name))
    assert outcome.reason is RejectReason.UNSUPPORTED_FORMAT
    assert outcome.format == format_name


@pytest.mark.parametrize(
    ("data", "format_name"),
    [
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"8BPS\0\1", "PSD"),
        (b"\xff\x0a\xfa\x1f", "JPEGXL"),
    ],
)
def test_formats_that_pillow_cannot_write_are_known_by_their_first_bytes(
    data: bytes, format_name: str
) -> None:
    assert rejection(data).reason is RejectReason.UNSUPPORTED_FORMAT
    assert rejection(data).format == format_name


@pytest.mark.parametrize(
    "data", [b"<html><body>404</body></html>", b"PK\3\4", b"\0" * 100, b"RIFF\4\0\0\0WAVE", b"x"]
)
def test_what_is_no_image_is_said_to_be_none(data: bytes) -> None:
    assert reject_reason(data) is RejectReason.NOT_AN_IMAGE


def test_no_bytes_are_rejected_as_empty() -> None:
    assert reject_reason(b"") is RejectReason.EMPTY


def test_grey_becomes_rgb() -> None:
    grey = photo().convert("L")
    assert pixels(encode(grey, "PNG")) == pixels(encode(grey.convert("RGB"), "PNG"))


def test_sixteen_bit_grey_keeps_its_brightness() -> None:
    grey = photo().convert("L")
    deep = grey.convert("I").point(lambda level: level * 257 + 0).convert("I;16")
    assert max(deep.getextrema()) > 40_000  # type: ignore[operator]
    assert mean_difference(pixels(encode(deep, "PNG")), pixels(encode(grey, "PNG"))) < 0.5


def test_sixteen_bit_rgb_keeps_its_brightness() -> None:
    raw = photo(64, 64).tobytes()
    # Colour type 2 of 16 bits, which Pillow cannot write: every level twice, no filter.
    rows = b"".join(
        b"\0" + b"".join(bytes([level, level]) for level in raw[start : start + 192])
        for start in range(0, len(raw), 192)
    )
    deep = b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 16, 2, 0, 0, 0)),
            png_chunk(b"IDAT", zlib.compress(rows)),
            png_chunk(b"IEND", b""),
        ]
    )
    assert pixels(deep) == pixels(encode(photo(64, 64), "PNG"))


def test_one_bit_is_black_and_white() -> None:
    outcome = pixels(encode(Image.new("1", (300, 300), 1), "PNG"))
    assert set(outcome) == {255}


def test_palette_becomes_rgb() -> None:
    palette = photo().quantize(256)
    assert mean_difference(pixels(encode(palette, "PNG")), expected_pixels()) < 8


def test_cmyk_comes_out_as_its_colours() -> None:
    cmyk = encode(photo().convert("CMYK"), "JPEG", quality=95, subsampling=0)
    assert mean_difference(pixels(cmyk), expected_pixels()) < 2


def _half_transparent() -> Image.Image:
    """Opaque black on the left, invisible black on the right."""
    alpha = Image.new("L", (300, 300), 255)
    alpha.paste(0, (150, 0, 300, 300))
    picture = Image.new("RGBA", (300, 300), (0, 0, 0, 255))
    picture.putalpha(alpha)
    return picture


def _palette_with_transparency() -> Image.Image:
    picture = Image.new("P", (300, 300), 0)
    picture.putpalette([0, 0, 0, 0, 0, 0])
    picture.paste(1, (150, 0, 300, 300))
    return picture


def _rgb_with_transparent_colour() -> Image.Image:
    picture = Image.new("RGB", (300, 300), (0, 0, 0))
    picture.paste((0, 0, 1), (150, 0, 300, 300))
    return picture


@pytest.mark.parametrize(
    "data",
    [
        encode(_half_transparent(), "PNG"),
        encode(_half_transparent().convert("LA"), "PNG"),
        encode(_half_transparent(), "WEBP", lossless=True),
        encode(_palette_with_transparency(), "PNG", transparency=1),
        encode(_palette_with_transparency(), "PNG", transparency=b"\xff\x00"),
        encode(_rgb_with_transparent_colour(), "PNG", transparency=(0, 0, 1)),
        pytest.param(
            encode(_half_transparent(), "AVIF", quality=100) if features.check("avif") else b"",
            marks=needs_avif,
        ),
    ],
    ids=["RGBA", "LA", "WebP", "P colour", "P alphas", "RGB colour", "AVIF"],
)
def test_transparency_is_white(data: bytes) -> None:
    row = pixels(data)[: 224 * 3]
    assert max(row[:300]) <= 2
    assert min(row[-300:]) >= 253


@pytest.mark.parametrize("format_name", ["PNG", "WEBP", pytest.param("AVIF", marks=needs_avif)])
def test_animation_shows_its_first_frame(format_name: str) -> None:
    frames = [Image.new("RGB", (300, 300), colour) for colour in ("red", "green", "blue")]
    animation = encode(frames[0], format_name, save_all=True, append_images=frames[1:])
    red, green, blue = pixels(animation)[:3]
    assert red > 240
    assert max(green, blue) < 15


def test_first_picture_of_a_multi_picture_jpeg_is_taken() -> None:
    other = Image.new("RGB", (600, 400), "red")
    several = encode(photo(), "MPO", save_all=True, append_images=[other], quality=95)
    assert b"MPF\0" in several
    outcome = prepare(several, SPEC)
    assert isinstance(outcome, Prepared)
    assert outcome.format == "JPEG"
    assert mean_difference(outcome.pixels, expected_pixels()) < 2


def test_first_picture_is_taken_when_the_second_is_cut_off() -> None:
    other = Image.new("RGB", (600, 400), "red")
    several = encode(photo(), "MPO", save_all=True, append_images=[other], quality=95)
    assert pixels(several[:-200]) == pixels(several)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 3), (3, 5000), (255, 257)])
def test_any_shape_is_prepared(size: tuple[int, int]) -> None:
    outcome = prepare(encode(Image.new("RGB", size, (10, 200, 30)), "PNG"), SPEC)
    assert isinstance(outcome, Prepared)
    assert set(zip(*[iter(outcome.pixels)] * 3, strict=True)) == {(10, 200, 30)}


def test_file_name_and_junk_behind_the_end_do_not_matter() -> None:
    for format_name in ("JPEG", "PNG", "WEBP"):
        data = encode(photo(), format_name)
        assert pixels(data + b"junk" * 1000) == pixels(data)


def test_colour_profile_is_left_alone_and_never_parsed() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain, broken = encode(photo(), "JPEG"), b"ICC_PROFILE\0\x01\x09" + b"\0" * 60_000
    assert pixels(encode(photo(), "JPEG", icc_profile=profile)) == pixels(plain)
    assert pixels(with_jpeg_segments(plain, (0xE2, broken))) == pixels(plain)
    png = encode(photo(), "PNG")
    assert pixels(with_png_chunks(png, png_chunk(b"iCCP", b"broken"))) == pixels(png)


def test_many_threads_get_the_same_pixels(recwarn: pytest.WarningsRecorder) -> None:
    files = [encode(photo(), name) for name in ("JPEG", "PNG", "WEBP")] * 8
    alone = [pixels(data) for data in files]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(pixels, files)) == alone
    assert not recwarn.list


def test_pillow_s_own_settings_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg, png = encode(photo(), "JPEG"), encode(photo(), "PNG")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    assert pixels(png) == expected_pixels()
    assert reject_reason(jpeg[:-20]) is RejectReason.TRUNCATED
    assert reject_reason(png[:-20]) is RejectReason.TRUNCATED
