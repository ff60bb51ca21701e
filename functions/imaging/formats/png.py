"""PNG (W3C PNG, third edition): walks the chunks, checks them, opens what is left with Pillow.

Pillow ignores checksums of the image data and a missing end, and unpacks compressed text and
colour profiles, however many a file holds. So the chunks are checked here, and Pillow gets only
those that make the still image: in an animation (APNG) that is what every other viewer shows.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL.PngImagePlugin import PngImageFile

from imaging.formats.opened_image import OpenedImage, damage_found_by_pillow
from imaging.formats.orientation import read_orientation
from imaging.limits import Limits
from imaging.outcome import RejectReason, Unusable

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAKES_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_EXIF_AS_TEXT, _XMP_AS_TEXT = b"Raw profile type exif", b"XML:com.adobe.xmp"
# Enough for any orientation entry; compressed text is not unpacked beyond it.
_MAX_TEXT_BYTES = 65_536

# What decoding takes, by the header's colour type, in bytes a pixel; measured on 12 megapixels.
# Pillow's own image is 4 (palette and grey 1, 16-bit grey 2). On top come its copies on the way
# to RGB on white: RGB for a palette, RGBA and RGB wherever there is transparency.
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_BYTES_PER_PIXEL = {_GREY: 5, _RGB: 5, _PALETTE: 6, _GREY_ALPHA: 13, _RGBA: 9}
_BYTES_PER_PIXEL_WITH_TRANSPARENT_COLOUR = 13


@dataclass(slots=True)
class _Chunks:
    kept: list[memoryview] = field(default_factory=list)
    exif: bytes | None = None
    xmp: bytes | None = None
    transparent_colour: bool = False


def open_png(data: bytes, limits: Limits) -> OpenedImage:
    """Opens a PNG file whose chunks are all whole; raises Unusable."""
    size, bytes_per_pixel = _read_image_header(data)
    limits.check_size(size)
    chunks = _read_chunks(data, limits, size)
    if chunks.transparent_colour:
        bytes_per_pixel = _BYTES_PER_PIXEL_WITH_TRANSPARENT_COLOUR
    limits.check_memory(bytes_per_pixel * size[0] * size[1], size)
    with damage_found_by_pillow(size):
        image = PngImageFile(io.BytesIO(b"".join([_SIGNATURE, *chunks.kept])))
    return OpenedImage("PNG", image, size, read_orientation(chunks.exif, chunks.xmp), extent=size)


def _read_image_header(data: bytes) -> tuple[tuple[int, int], int]:
    """Width and height, and the bytes a pixel that decoding takes."""
    if len(data) < 33:
        raise Unusable(RejectReason.TRUNCATED, "the file ends within its header")
    length, name, width, height, _depth, colour = struct.unpack_from(">I4sIIBB", data, 8)
    if name != b"IHDR" or length != 13:
        raise Unusable(RejectReason.CORRUPT, "does not begin with an image header")
    if colour not in _BYTES_PER_PIXEL:
        raise Unusable(RejectReason.CORRUPT, f"colour type {colour} does not exist")
    return (width, height), _BYTES_PER_PIXEL[colour]


def _read_chunks(data: bytes, limits: Limits, size: tuple[int, int]) -> _Chunks:
    chunks = _Chunks()
    whole = memoryview(data)
    for count, (name, start, end) in enumerate(_walk(data, size)):
        if count >= limits.max_chunks:
            raise Unusable(
                RejectReason.TOO_MANY_CHUNKS, f"more than {limits.max_chunks:,} chunks", size
            )
        if name in _MAKES_PIXELS:
            chunks.kept.append(whole[start:end])
            chunks.transparent_colour |= name == b"tRNS"
        elif name == b"eXIf":
            chunks.exif = chunks.exif or data[start + 8 : end - 4]
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            _read_text(chunks, name, data[start + 8 : end - 4])
    return chunks


def _walk(data: bytes, size: tuple[int, int]) -> Iterator[tuple[bytes, int, int]]:
    """Yields (name, start, end) of each chunk up to the last; raises Unusable for a damaged one."""
    position = len(_SIGNATURE)
    name = b""
    while name != b"IEND":
        if position + 12 > len(data):
            raise Unusable(RejectReason.TRUNCATED, "the file ends before its last chunk", size)
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if not name.isalpha():
            raise Unusable(RejectReason.CORRUPT, "a chunk without a name", size)
        if end > len(data):
            raise Unusable(RejectReason.TRUNCATED, "the file ends within a chunk", size)
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != checksum:
            raise Unusable(RejectReason.CORRUPT, "a chunk's checksum is wrong", size)
        yield name, position, end
        position = end


def _read_text(chunks: _Chunks, name: bytes, body: bytes) -> None:
    """Takes what may hold the orientation: XMP, or EXIF the way ImageMagick writes it."""
    keyword, _, rest = body.partition(b"\0")
    if keyword == _EXIF_AS_TEXT and name in (b"tEXt", b"zTXt"):
        text = rest if name == b"tEXt" else _unpack(rest[1:])
        chunks.exif = chunks.exif or _from_hex(text)
    elif keyword == _XMP_AS_TEXT and name == b"iTXt":
        compressed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
        chunks.xmp = chunks.xmp or (_unpack(text) if compressed else text[:_MAX_TEXT_BYTES])


def _unpack(compressed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(compressed, _MAX_TEXT_BYTES)
    except zlib.error:
        return b""  # damaged metadata counts as absent


def _from_hex(text: bytes) -> bytes:
    """The bytes of "\\nexif\\n    1234\\n45786966..." (name, length, hexadecimal lines)."""
    digits = re.sub(rb"[^0-9a-fA-F]", b"", b"".join(text.split(b"\n")[3:]))
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode())
