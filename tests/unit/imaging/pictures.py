"""Test pictures made on the spot, ways to write them to bytes, and chunk and segment builders."""

from __future__ import annotations

import io
import random
import struct
import zlib
from functools import cache

import numpy as np
from PIL import Image

from imaging import ImageSpec, Prepared, Rejection, RejectReason, prepare

SPEC = ImageSpec(
    size=224,
    resize=256,
    crop="center",
    interpolation="bicubic",
    mean=(127.0, 127.0, 127.0),
    std=(128.0, 128.0, 128.0),
    layout="NHWC",
)


@cache
def photo(width: int = 600, height: int = 400) -> Image.Image:
    """RGB, smooth with some texture, no two corners alike, so that a wrong turn shows."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    disc = Image.radial_gradient("L").resize((width, height))
    picture = Image.merge("RGB", (across, down, disc))
    noise = random.Random(7).randbytes(48 * 32 * 3)  # noqa: S311 - a fixed texture
    cells = Image.frombytes("RGB", (48, 32), noise).resize((width, height))
    return Image.blend(picture, cells, 0.3)


# The same pixels in larger files, sooner.
IN_HASTE: dict[str, dict[str, object]] = {
    "AVIF": {"speed": 10},
    "PNG": {"compress_level": 1},
    "WEBP": {"method": 0},
}


def encode(image: Image.Image, format_name: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_name, **IN_HASTE.get(format_name, {}) | options)
    return file.getvalue()


@cache
def expected_pixels() -> bytes:
    """`photo()` prepared, from a lossless file."""
    return pixels(encode(photo(), "PNG"))


def pixels(data: bytes) -> bytes:
    outcome = prepare(data, SPEC)
    assert isinstance(outcome, Prepared), outcome
    return outcome.pixels


def rejection(data: bytes) -> Rejection:
    outcome = prepare(data, SPEC)
    assert isinstance(outcome, Rejection), "the file was accepted"
    return outcome


def reject_reason(data: bytes) -> RejectReason:
    return rejection(data).reason


def mean_difference(left: bytes, right: bytes) -> float:
    """Mean absolute difference, levels 0..255."""
    levels = [np.frombuffer(each, np.uint8).astype(np.int16) for each in (left, right)]
    return float(np.abs(levels[0] - levels[1]).mean())


def exif_block(orientation: int) -> bytes:
    """A TIFF structure of one entry, big-endian."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + b"\0\0\0\0"


def xmp_packet(orientation: int) -> bytes:
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def png_chunk(name: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def with_png_chunks(png: bytes, *chunks: bytes) -> bytes:
    """The PNG with more chunks right after its header."""
    header_end = 8 + 25
    return png[:header_end] + b"".join(chunks) + png[header_end:]


def with_jpeg_segments(jpeg: bytes, *segments: tuple[int, bytes]) -> bytes:
    """The JPEG with more (marker, body) segments right after its first marker."""
    added = [
        bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments
    ]
    return jpeg[:2] + b"".join(added) + jpeg[2:]
