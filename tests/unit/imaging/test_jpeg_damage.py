"""A JPEG is classified if it holds every pixel, and rejected if it does not."""

from __future__ import annotations

import io
import random
import re
import struct
from collections.abc import Callable
from functools import cache

import pytest
from PIL import Image

from imaging import RejectReason
from imaging.formats import libjpeg
from tests.unit.imaging.pictures import (
    encode,
    mean_difference,
    photo,
    pixels,
    reject_reason,
    with_jpeg_segments,
)

DAMAGED = (RejectReason.CORRUPT, RejectReason.TRUNCATED)
END = b"\xff\xd9"
WRITTEN: dict[str, dict[str, object]] = {
    "baseline": {"quality": 95},
    "optimised": {"quality": 90, "optimize": True},
    "progressive": {"quality": 95, "progressive": True},
    "restart markers": {"quality": 95, "restart_marker_blocks": 7},
    "grey": {},
}
every_kind = pytest.mark.parametrize("kind", WRITTEN)


@cache
def jpeg(kind: str) -> bytes:
    image = photo().convert("L") if kind == "grey" else photo()
    return encode(image, "JPEG", **WRITTEN[kind])


def coded_range(data: bytes) -> tuple[int, int]:
    return data.index(b"\xff\xda") + 14, len(data) - 2


def overwritten(data: bytes, patch: Callable[[int], bytes]) -> bytes:
    start, end = coded_range(data)
    length = (end - start) // 3
    middle = start + length
    return data[:middle] + patch(length) + data[middle + length :]


PATCHES: dict[str, Callable[[int], bytes]] = {
    "zeros": bytes,
    "0xFF": lambda length: b"\xff" * length,
    "noise": lambda length: random.Random(3).randbytes(length),  # noqa: S311 - repeatable
    "text": lambda length: (b"<html>404 Not Found</html>\r\n" * length)[:length],
    "nothing": lambda _: b"",
}


@every_kind
@pytest.mark.parametrize("patch", PATCHES)
def test_overwritten_or_lost_data_are_found(kind: str, patch: str) -> None:
    # In a progressive file whole scans go with them.
    assert reject_reason(overwritten(jpeg(kind), PATCHES[patch])) in DAMAGED


@every_kind
@pytest.mark.parametrize("left", [0.3, 0.6, 0.9])
def test_lost_tail_is_found_although_an_end_or_zeros_follow(kind: str, left: float) -> None:
    data = jpeg(kind)
    start, end = coded_range(data)
    cut = data[: start + int((end - start) * left)]
    assert reject_reason(cut + END) in DAMAGED
    assert reject_reason(cut.ljust(len(data), b"\0")) in DAMAGED
    assert reject_reason(cut) is RejectReason.TRUNCATED


@every_kind
def test_line_ends_changed_by_a_transfer_are_corrupt(kind: str) -> None:
    data = jpeg(kind)
    start, _ = coded_range(data)
    assert reject_reason(data[:start] + data[start:].replace(b"\n", b"\r\n")) is (
        RejectReason.CORRUPT
    )


@every_kind
def test_whole_picture_without_its_end_is_read(kind: str) -> None:
    data = jpeg(kind)
    assert pixels(data[:-2]) == pixels(data)
    assert pixels(data[:-1]) == pixels(data)
    assert pixels(data[:-2] + bytes(700)) == pixels(data)


TRAILERS: dict[str, bytes] = {
    "a page": b"<html><body>404 Not Found</body></html>\r\n" * 20,
    "a short text": b"scanner 7",
    "XMP": b"<?xpacket begin='\xef\xbb\xbf' id='W5M0MpCehiHzreSzNTczkc9d'?>" + b" " * 400,
    "a film": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + random.Random(1).randbytes(3000),  # noqa: S311
    "an archive": b"PK\3\4\x14\0\0\0\x08\0" + random.Random(2).randbytes(3000),  # noqa: S311
    "Samsung's blocks": b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data\0\0\0\x18ftypmp42" + bytes(99),
    "another JPEG": encode(photo(160, 120), "JPEG"),
    "a progressive JPEG": encode(photo(160, 120), "JPEG", progressive=True),
    "a PNG": encode(photo(160, 120), "PNG"),
    "zeros and a page": b"\0\0" + b"<html><body>404 Not Found</body></html>" * 20,
}


@every_kind
@pytest.mark.parametrize("trailer", TRAILERS)
def test_whole_picture_with_a_trailer_instead_of_its_end_is_read(kind: str, trailer: str) -> None:
    data = jpeg(kind)
    assert pixels(data[:-2] + TRAILERS[trailer]) == pixels(data)


@every_kind
@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("left", [0.5, 0.9, 0.98])
def test_lost_tail_with_a_trailer_is_found(kind: str, trailer: str, left: float) -> None:
    data = jpeg(kind)
    start, end = coded_range(data)
    cut = data[: start + int((end - start) * left)]
    assert reject_reason(cut + TRAILERS[trailer]) in DAMAGED


@every_kind
@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("patch", PATCHES)
def test_damage_before_a_trailer_is_found(kind: str, trailer: str, patch: str) -> None:
    damaged = overwritten(jpeg(kind), PATCHES[patch])
    assert reject_reason(damaged[:-2] + TRAILERS[trailer]) in DAMAGED


@every_kind
@pytest.mark.parametrize("surplus", [b"\0", b"\x5a\x5a", bytes(600), b"\x5a" * 600, b"\xff" * 50])
def test_padding_behind_the_last_scan_is_no_damage(kind: str, surplus: bytes) -> None:
    data = jpeg(kind)
    assert pixels(data[:-2] + surplus + END) == pixels(data)


@pytest.mark.parametrize("kind", ["baseline", "restart markers", "progressive"])
@pytest.mark.parametrize("surplus", [b"\xff\xd4", b"scanner\xff\xd4", b"\xff\xd0\xff\xd1"])
def test_restart_markers_behind_the_last_block_are_no_damage(kind: str, surplus: bytes) -> None:
    data = jpeg(kind)
    assert pixels(data[:-2] + surplus + END) == pixels(data)


@every_kind
def test_fill_bytes_stray_bytes_and_unknown_versions_are_no_damage(kind: str) -> None:
    data = jpeg(kind)
    frame = re.search(rb"\xff[\xc0\xc2]\0", data)
    assert frame
    at = frame.start()
    assert pixels(data[:at] + b"\xff\0\xff\0" + data[at:]) == pixels(data)
    assert pixels(data[:at] + b"\xff\xff" + data[at:]) == pixels(data)
    assert pixels(data.replace(b"JFIF\0\1\1", b"JFIF\0\7\7")) == pixels(data)
    assert pixels(with_jpeg_segments(data, (0xE9, b"?"))) == pixels(data)


def test_stray_bytes_between_the_scans_segments_are_no_damage() -> None:
    data = jpeg("progressive")
    second = data.index(b"\xff\xc4", data.index(b"\xff\xda"))
    (length,) = struct.unpack(">H", data[second + 2 : second + 4])
    behind = second + 2 + length
    assert pixels(data[:behind] + b"\0junk" + data[behind:]) == pixels(data)


@pytest.mark.parametrize("end", [END, b""])
def test_progressive_jpeg_that_lost_its_last_scans_is_truncated(end: bytes) -> None:
    data = jpeg("progressive")
    for scan in list(re.finditer(rb"\xff\xda", data))[2:]:
        before = data[: data.rindex(b"\xff\xc4", 0, scan.start())]
        assert reject_reason(before + end) is RejectReason.TRUNCATED


def test_plain_areas_are_no_holes() -> None:
    plain = Image.new("RGB", (3000, 2000), "white")
    for options in ({"optimize": True}, {"progressive": True}):
        assert set(pixels(encode(plain, "JPEG", **options))) == {255}


def test_photo_saved_again_with_half_the_quantization_steps_has_no_holes() -> None:
    picture = Image.effect_noise((900, 600), 60)
    coarse = encode(picture, "JPEG", qtables=[[16] * 64])
    again = Image.open(io.BytesIO(coarse))
    finer = encode(again, "JPEG", qtables=[[8] * 64], progressive=True)
    assert mean_difference(pixels(finer), pixels(coarse)) < 1


def test_pillow_whose_warnings_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    libjpeg.require_warnings.cache_clear()
    monkeypatch.setattr(libjpeg, "_SETTINGS_POINTERS", 0)
    try:
        with pytest.raises(RuntimeError, match="libjpeg's warnings"):
            libjpeg.require_warnings()
    finally:
        libjpeg.require_warnings.cache_clear()
