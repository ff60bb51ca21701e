"""Limits hold before anything is decoded."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from dataclasses import replace
from unittest.mock import patch

import pytest
from PIL import Image, ImageFile, features

from imaging import DEFAULT_LIMITS, Limits, Prepared, Rejection, RejectReason, prepare
from tests.unit.imaging.pictures import (
    SPEC,
    encode,
    photo,
    pixels,
    png_chunk,
    reject_reason,
    rejection,
    with_jpeg_segments,
    with_png_chunks,
)


def reason_under(limits: Limits, data: bytes) -> RejectReason:
    """The reason why it is rejected, and proof that nothing was decoded for it."""
    with patch.object(ImageFile.ImageFile, "load", side_effect=AssertionError("decoded")):
        outcome = prepare(data, SPEC, limits)
    assert isinstance(outcome, Rejection)
    return outcome.reason


FORMATS = ["JPEG", "PNG", "WEBP", "BMP", *(["AVIF"] if features.check("avif") else [])]


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_bytes=100), RejectReason.TOO_MANY_BYTES),
        (Limits(max_pixels=600 * 400 - 1), RejectReason.TOO_MANY_PIXELS),
        (Limits(max_side=599), RejectReason.SIDE_TOO_LONG),
        (Limits(max_decoded_bytes=100_000), RejectReason.TOO_MANY_PIXELS),
    ],
)
def test_limit_holds_before_decoding(
    format_name: str, limits: Limits, reason: RejectReason
) -> None:
    data = encode(photo(), format_name)
    assert reason_under(limits, data) is reason


@pytest.mark.parametrize("format_name", FORMATS)
def test_image_exactly_at_the_limits_is_prepared(format_name: str) -> None:
    data = encode(photo(), format_name)
    limits = Limits(
        max_bytes=len(data),
        max_pixels=600 * 400,
        max_side=600,
        max_decoded_bytes=13 * 600 * 400 * 2,
    )
    assert isinstance(prepare(data, SPEC, limits), Prepared)


def test_rejection_says_how_large_the_image_is() -> None:
    outcome = prepare(encode(photo(), "PNG"), SPEC, Limits(max_pixels=1000))
    assert isinstance(outcome, Rejection)
    assert (outcome.format, outcome.width, outcome.height) == ("PNG", 600, 400)


def test_progressive_jpeg_with_a_thousand_scans_is_rejected() -> None:
    progressive = encode(photo(), "JPEG", progressive=True)
    last_scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    bomb = progressive[:-2] + last_scan * 1000 + b"\xff\xd9"
    assert reason_under(DEFAULT_LIMITS, bomb) is RejectReason.TOO_MANY_SCANS


def test_ordinary_progressive_jpeg_is_within_the_scans() -> None:
    progressive = encode(photo(), "JPEG", progressive=True)
    assert progressive.count(b"\xff\xda") > 5
    assert isinstance(prepare(progressive, SPEC), Prepared)


def test_scan_markers_in_appended_data_are_not_counted() -> None:
    progressive = encode(photo(), "JPEG", progressive=True)
    motion_photo = progressive + b"\xff\xda\0\x02" * 1000
    assert pixels(motion_photo) == pixels(progressive)


def test_progressive_jpeg_counts_its_coefficients_as_memory() -> None:
    large = Image.new("RGB", (3000, 2000))
    limits = replace(DEFAULT_LIMITS, max_decoded_bytes=10_000_000)
    assert isinstance(prepare(encode(large, "JPEG"), SPEC, limits), Prepared)
    assert reason_under(limits, encode(large, "JPEG", progressive=True)) is (
        RejectReason.TOO_MANY_PIXELS
    )


def test_large_jpeg_is_never_decoded_at_full_size() -> None:
    data = encode(Image.new("RGB", (4000, 3000), (90, 120, 30)), "JPEG")
    outcome = prepare(data, SPEC, Limits(max_decoded_bytes=4000 * 3000 * 4 // 16))
    assert isinstance(outcome, Prepared)
    assert (outcome.width, outcome.height) == (4000, 3000)


def empty_png(width: int, height: int) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")


def test_png_that_says_it_is_huge_is_rejected() -> None:
    assert reason_under(DEFAULT_LIMITS, empty_png(20_000, 10_000)) is RejectReason.TOO_MANY_PIXELS
    assert reason_under(DEFAULT_LIMITS, empty_png(2**31, 1)) is RejectReason.SIDE_TOO_LONG
    assert reason_under(DEFAULT_LIMITS, empty_png(0, 1)) is RejectReason.CORRUPT


def test_png_with_a_flood_of_chunks_is_rejected() -> None:
    png = encode(photo(64, 64), "PNG")
    flood = with_png_chunks(png, png_chunk(b"tEXt", b"a\0") * DEFAULT_LIMITS.max_chunks)
    assert reject_reason(flood) is RejectReason.TOO_MANY_CHUNKS


def test_compressed_text_of_a_png_is_never_unpacked() -> None:
    png = encode(photo(64, 64), "PNG")
    bomb = zlib.compress(b"0" * 50_000_000, 9)
    text = png_chunk(b"zTXt", b"Raw profile type exif\0\0" + bomb)
    profile = png_chunk(b"iCCP", b"profile\0\0" + bomb)
    tracemalloc.start()
    try:
        outcome = prepare(with_png_chunks(png, text, profile * 20), SPEC)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(outcome, Prepared)
    assert peak_bytes < 10_000_000


def test_jpeg_with_a_flood_of_segments_is_rejected() -> None:
    jpeg = encode(photo(64, 64), "JPEG")
    flood = with_jpeg_segments(jpeg, *[(0xE5, b"")] * DEFAULT_LIMITS.max_chunks)
    assert reject_reason(flood) is RejectReason.TOO_MANY_CHUNKS


def test_webp_of_38_bytes_that_says_50_megapixels_is_rejected() -> None:
    canvas = (8191).to_bytes(3, "little") + (6100).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + canvas + b"VP8 \0\0\0\0"
    bomb = b"RIFF" + struct.pack("<I", len(body)) + body
    assert len(bomb) == 38
    assert reason_under(DEFAULT_LIMITS, bomb) is RejectReason.TOO_MANY_PIXELS


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
def test_avif_that_hides_a_larger_picture_is_rejected() -> None:
    honest = encode(Image.new("RGB", (1000, 800), (90, 120, 30)), "AVIF", speed=10)
    stated = honest.index(b"ispe") + 8
    lying = honest[:stated] + struct.pack(">II", 64, 64) + honest[stated + 8 :]
    outcome = rejection_under(Limits(max_decoded_bytes=1_000_000), lying)
    assert outcome.reason is RejectReason.TOO_MANY_PIXELS
    assert (outcome.width, outcome.height) == (64, 64)


def rejection_under(limits: Limits, data: bytes) -> Rejection:
    outcome = prepare(data, SPEC, limits)
    assert isinstance(outcome, Rejection)
    return outcome


def test_detail_never_holds_image_content() -> None:
    assert "secret" not in rejection(b"secret").detail
