"""PNG and BMP files of the field are read as browsers show them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import pytest
from PIL import Image

from imaging import RejectReason
from tests.unit.imaging.pictures import (
    encode,
    expected_pixels,
    photo,
    pixels,
    png_chunk,
    reject_reason,
    with_png_chunks,
)


@pytest.mark.parametrize("name", [b"tEXt", b"pHYs", b"iCCP", b"gAMA", b"tIME", b"eXIf", b"tRNS"])
def test_wrong_checksum_of_an_ancillary_chunk_is_ignored(name: bytes) -> None:
    chunk = png_chunk(name, b"\0\6" * 3)[:-1] + b"!"
    assert pixels(with_png_chunks(encode(photo(), "PNG"), chunk)) == expected_pixels()


@pytest.mark.parametrize("name", [b"IHDR", b"IDAT", b"IEND"])
def test_wrong_checksum_of_the_image_is_corrupt(name: bytes) -> None:
    data = bytearray(encode(photo(), "PNG"))
    start = data.rindex(name)
    (length,) = struct.unpack_from(">I", data, start - 4)
    data[start + 4 + length] ^= 1
    assert reject_reason(bytes(data)) is RejectReason.CORRUPT


def grey_png(depth: int, transparent: int) -> bytes:
    """Every level of `depth` bits in a column of its own, one of them transparent."""
    levels = range(1 << depth)
    bits = "".join(f"{level:0{depth}b}" * 16 for level in levels)
    row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    header = struct.pack(">IIBBBBB", 16 * len(levels), 64, depth, 0, 0, 0, 0)
    chunks = [
        png_chunk(b"IHDR", header),
        png_chunk(b"tRNS", struct.pack(">H", transparent)),
        png_chunk(b"IDAT", zlib.compress(row * 64)),
        png_chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("depth", "transparent"), [(1, 0), (1, 1), (2, 0), (2, 1), (2, 3), (4, 5), (4, 15)]
)
def test_transparent_grey_of_few_bits_is_white(depth: int, transparent: int) -> None:
    highest = (1 << depth) - 1
    shown = Image.new("L", (16 << depth, 64))
    for level in range(highest + 1):
        grey = 255 if level == transparent else level * 255 // highest
        shown.paste(grey, (16 * level, 0, 16 * level + 16, 64))
    expected = pixels(encode(shown.convert("RGB"), "PNG"))
    assert pixels(grey_png(depth, transparent)) == expected


def grey_png_of_16_bits(levels: Sequence[int], transparent: int | None) -> bytes:
    """A column of 16 pixels of each level."""
    row = b"\0" + b"".join(struct.pack(">H", level) * 16 for level in levels)
    header = struct.pack(">IIBBBBB", 16 * len(levels), 64, 16, 0, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", header)]
    if transparent is not None:
        chunks.append(png_chunk(b"tRNS", struct.pack(">H", transparent)))
    chunks += [png_chunk(b"IDAT", zlib.compress(row * 64)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("transparent", [0, 1, 255, 256, 0x1234, 0x8000, 65_534, 65_535])
def test_transparent_grey_of_16_bits_is_white(transparent: int) -> None:
    levels = sorted({0, 1, 257, 0x1234, 0x1235, 0x8000, 0xFE00, 65_535, transparent})
    shown = Image.new("L", (16 * len(levels), 64))
    for place, level in enumerate(levels):
        # The levels beside it stay, though all are the same in 8 bits.
        grey = 255 if level == transparent else round(level * 255 / 65_535)
        shown.paste(grey, (16 * place, 0, 16 * place + 16, 64))
    expected = pixels(encode(shown.convert("RGB"), "PNG"))
    assert pixels(grey_png_of_16_bits(levels, transparent)) == expected


def test_grey_of_16_bits_without_a_transparent_level_is_as_it_was() -> None:
    levels = (0, 0x1234, 0x8000, 65_535)
    opaque = grey_png_of_16_bits(levels, None)
    # Resized in 8 bits instead of 16: one level at most.
    found, expected = pixels(grey_png_of_16_bits(levels, 0x4321)), pixels(opaque)
    assert max(abs(one - other) for one, other in zip(found, expected, strict=True)) <= 1


SMALL = photo(96, 64)
SMALL_PIXELS = pixels(encode(SMALL, "PNG"))


def bmp(bits: int, masks: tuple[int, int, int, int], header_bytes: int = 108) -> bytes:
    """`SMALL` with its pixels' bits placed by masks, alpha zero."""
    width, height = SMALL.size
    rows = []
    picture = SMALL.load()
    assert picture is not None
    for y in reversed(range(height)):
        row = b"".join(
            sum(
                _placed(level, mask) for level, mask in zip(picture[x, y], masks, strict=False)
            ).to_bytes(bits // 8, "little")  # type: ignore[arg-type]
            for x in range(width)
        )
        rows.append(row.ljust(-(-len(row) // 4) * 4, b"\0"))
    stored = b"".join(rows)
    compression = 6 if header_bytes == 40 and masks[3] else 3
    info = struct.pack("<IiiHHIIiiII", header_bytes, width, height, 1, bits, compression, *[0] * 5)
    info += b"".join(mask.to_bytes(4, "little") for mask in masks)
    info = info.ljust(max(header_bytes, 40 + 16), b"\0")
    offset = 14 + len(info)
    return struct.pack("<2sIHHI", b"BM", offset + len(stored), 0, 0, offset) + info + stored


def _placed(level: int, mask: int) -> int:
    """A level of 8 bits in the bits of the mask."""
    shift = (mask & -mask).bit_length() - 1
    return level * (mask >> shift) // 255 << shift


FULL = 0xFF


@pytest.mark.parametrize("header_bytes", [40, 56, 108, 124])
@pytest.mark.parametrize("order", [(2, 1, 0), (0, 1, 2), (3, 2, 1), (1, 2, 3), (0, 2, 1)])
def test_bmp_s_masks_of_whole_bytes_are_read(order: tuple[int, ...], header_bytes: int) -> None:
    red, green, blue = (FULL << 8 * place for place in order)
    assert pixels(bmp(32, (red, green, blue, 0), header_bytes)) == SMALL_PIXELS


@pytest.mark.parametrize("header_bytes", [40, 56, 108, 124])
def test_bmp_whose_alpha_is_zero_everywhere_is_opaque(header_bytes: int) -> None:
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    assert pixels(bmp(32, masks, header_bytes)) == SMALL_PIXELS


@pytest.mark.parametrize(
    "masks",
    [
        (0xF800, 0x7E0, 0x1F, 0),
        (0x1F, 0x7E0, 0xF800, 0),
        (0x7C00, 0x3E0, 0x1F, 0),
        (0x1F, 0x3E0, 0x7C00, 0),
        (0xF, 0xF0, 0xF00, 0),
    ],
)
def test_bmp_s_masks_of_16_bits_are_read(masks: tuple[int, int, int, int]) -> None:
    found, expected = pixels(bmp(16, masks)), SMALL_PIXELS
    assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) < 24


@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (32, (0x3FF00000, 0xFFC00, 0x3FF, 0)),
        (16, (0xF00, 0xF0, 0xF, 0xF000)),
        (16, (0xE0, 0x1C, 0x3, 0)),
    ],
)
def test_bmp_with_other_masks_is_unsupported_and_names_them(
    bits: int, masks: tuple[int, int, int, int]
) -> None:
    assert reject_reason(bmp(bits, masks)) is RejectReason.UNSUPPORTED_FORMAT


def test_bmp_s_reserved_fields_do_not_matter() -> None:
    data = bytearray(encode(photo(), "BMP"))
    data[6:10] = b"made"
    assert pixels(bytes(data)) == expected_pixels()


@pytest.mark.parametrize("compression", [1, 2, 4, 5, 11])
def test_compressed_bmp_is_unsupported(compression: int) -> None:
    data = bytearray(encode(photo(64, 64), "BMP"))
    data[30:34] = struct.pack("<I", compression)
    assert reject_reason(bytes(data)) is RejectReason.UNSUPPORTED_FORMAT


def test_masked_bmp_that_lost_its_tail_is_truncated() -> None:
    data = bmp(32, (0xFF0000, 0xFF00, 0xFF, 0))
    assert reject_reason(data[:-5]) is RejectReason.TRUNCATED
    assert reject_reason(data[:60]) is RejectReason.TRUNCATED
