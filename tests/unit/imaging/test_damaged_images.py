"""Damaged files are rejected with a reason, whatever the damage; nothing is ever raised."""

from __future__ import annotations

import random
import struct
import warnings

import pytest
from PIL import features

from imaging import Prepared, Rejection, RejectReason, preparation, prepare
from imaging.formats.opened_image import damage_found_by_pillow
from tests.unit.imaging.pictures import (
    SPEC,
    encode,
    photo,
    png_chunk,
    reject_reason,
    with_jpeg_segments,
    with_png_chunks,
)

FORMATS = ["JPEG", "PNG", "WEBP", "BMP", *(["AVIF"] if features.check("avif") else [])]


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("left", [0.02, 0.3, 0.6, 0.95])
def test_truncated_file_is_rejected(format_name: str, left: float) -> None:
    data = encode(photo(), format_name)
    assert reject_reason(data[: int(len(data) * left)]) in (
        RejectReason.TRUNCATED,
        RejectReason.CORRUPT,
    )


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
def test_file_without_its_last_20_bytes_is_truncated(format_name: str) -> None:
    assert reject_reason(encode(photo(), format_name)[:-20]) is RejectReason.TRUNCATED


def test_png_without_its_end_is_truncated() -> None:
    assert reject_reason(encode(photo(), "PNG")[:-12]) is RejectReason.TRUNCATED


def test_png_with_a_wrong_checksum_is_corrupt() -> None:
    data = bytearray(encode(photo(), "PNG"))
    data[len(data) // 2] ^= 1
    assert reject_reason(bytes(data)) is RejectReason.CORRUPT


def test_png_whose_image_data_stops_half_way_is_corrupt() -> None:
    png = encode(photo(64, 64), "PNG")
    start = png.index(b"IDAT")
    half = png_chunk(b"IDAT", png[start + 4 : start + 2000])
    assert reject_reason(png[: start - 4] + half + png_chunk(b"IEND", b"")) is RejectReason.CORRUPT


def test_png_with_an_unknown_colour_type_is_corrupt() -> None:
    png = encode(photo(64, 64), "PNG")
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 5, 0, 0, 0))
    assert reject_reason(png[:8] + header + png[33:]) is RejectReason.CORRUPT


def test_png_palette_image_without_a_palette_does_not_raise() -> None:
    png = encode(photo(64, 64).quantize(16), "PNG", bits=8)
    start = png.index(b"PLTE") - 4
    (length,) = struct.unpack(">I", png[start : start + 4])
    outcome = prepare(png[:start] + png[start + 12 + length :], SPEC)
    assert isinstance(outcome, Rejection)
    assert outcome.reason is RejectReason.CORRUPT


def test_jpeg_header_alone_is_truncated() -> None:
    jpeg = encode(photo(), "JPEG")
    assert reject_reason(jpeg[:200]) is RejectReason.TRUNCATED
    assert reject_reason(jpeg[: jpeg.index(b"\xff\xda") + 14]) is RejectReason.TRUNCATED


def test_jpeg_that_lost_its_end_is_truncated_although_its_preview_has_one() -> None:
    preview = encode(photo(64, 48), "JPEG")
    with_preview = with_jpeg_segments(encode(photo(), "JPEG"), (0xE1, b"Exif\0\0" + preview))
    assert isinstance(prepare(with_preview, SPEC), Prepared)
    assert reject_reason(with_preview[:-20]) is RejectReason.TRUNCATED


@pytest.mark.parametrize(
    ("marker", "bits", "components"), [(0xC3, 8, 3), (0xC1, 12, 3), (0xC0, 8, 2), (0xC5, 8, 3)]
)
def test_jpeg_kinds_that_libjpeg_does_not_decode_are_unsupported(
    marker: int, bits: int, components: int
) -> None:
    frame = struct.pack(">BHHB", bits, 64, 64, components) + b"\x01\x11\x00" * components
    header = b"\xff\xd8\xff" + bytes([marker]) + struct.pack(">H", len(frame) + 2) + frame
    assert reject_reason(header + b"\xff\xda\x00\x02\xff\xd9") is RejectReason.UNSUPPORTED_FORMAT


def test_jpeg_with_two_frame_headers_is_corrupt() -> None:
    jpeg = encode(photo(64, 64), "JPEG")
    start = jpeg.index(b"\xff\xc0")
    twice = jpeg[:start] + jpeg[start : start + 19] + jpeg[start:]
    assert reject_reason(twice) is RejectReason.CORRUPT


def test_jpeg_with_junk_between_its_segments_is_read() -> None:
    jpeg = encode(photo(64, 64), "JPEG")
    start = jpeg.index(b"\xff\xc0")
    outcome = prepare(jpeg[:start] + b"\0junk\xff\xff" + jpeg[start + 1 :], SPEC)
    assert isinstance(outcome, Prepared)


def test_ancillary_chunk_with_nonsense_does_not_spoil_the_image() -> None:
    png = encode(photo(64, 64), "PNG")
    for name in (b"eXIf", b"zTXt", b"iTXt", b"tEXt", b"gAMA", b"acTL", b"fcTL", b"pHYs", b"quIz"):
        outcome = prepare(with_png_chunks(png, png_chunk(name, b"\xff" * 5)), SPEC)
        assert isinstance(outcome, Prepared), name


def test_error_of_our_own_is_not_taken_for_a_damaged_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(preparation, "frame", bug)
    with pytest.raises(ZeroDivisionError):
        prepare(encode(photo(), "PNG"), SPEC)


def test_lack_of_memory_is_not_the_image_s_fault() -> None:
    with pytest.raises(MemoryError), damage_found_by_pillow():
        raise MemoryError


def test_run_length_coded_bmp_is_refused() -> None:
    bmp = bytearray(encode(photo(64, 64).quantize(256), "BMP"))
    bmp[30:34] = struct.pack("<I", 1)  # BI_RLE8
    assert reject_reason(bytes(bmp)) is RejectReason.UNSUPPORTED_FORMAT


SMALL = {
    "JPEG": encode(photo(40, 30), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
    "progressive JPEG": encode(photo(40, 30), "JPEG", progressive=True),
    "CMYK JPEG": encode(photo(40, 30).convert("CMYK"), "JPEG"),
    "PNG": encode(photo(20, 15), "PNG"),
    "palette PNG": encode(photo(20, 15).quantize(16), "PNG", transparency=1),
    "BMP": encode(photo(20, 15), "BMP"),
    "WebP": encode(photo(40, 30), "WEBP"),
    "animated WebP": encode(
        photo(20, 15), "WEBP", save_all=True, append_images=[photo(20, 15).rotate(90)]
    ),
    **({"AVIF": encode(photo(40, 30), "AVIF")} if features.check("avif") else {}),
}


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The file with a few of its bytes changed, and now and then cut off or grown."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        changed[chance.randrange(len(changed))] = chance.choice(
            [0, 1, 0x7F, 0xFF, chance.randrange(256)]
        )
    if chance.random() < 0.2:
        del changed[chance.randrange(len(changed)) :]
    if chance.random() < 0.1:
        at = chance.randrange(len(changed) + 1)
        changed[at:at] = chance.randbytes(chance.randint(1, 8))
    return bytes(changed)


@pytest.mark.parametrize("kind", SMALL)
def test_no_damage_raises_or_warns(kind: str) -> None:
    chance = random.Random(kind)  # noqa: S311 - the same damage in every run
    for _ in range(150):
        data = damaged(SMALL[kind], chance)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            outcome = prepare(data, SPEC)
        assert isinstance(outcome, Prepared | Rejection)
        if isinstance(outcome, Prepared):
            assert len(outcome.pixels) == SPEC.image_bytes
