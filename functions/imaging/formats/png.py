"""PNG (W3C PNG, third edition): checks the chunks, then opens the picture with Pillow.

Pillow ignores checksums of the image data and a missing end, and unpacks compressed text and
colour profiles, however many a file holds. So the chunks are checked here, and Pillow gets only
those of the still image, which is also the one that other viewers show of an animation (APNG).
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from PIL.PngImagePlugin import PngImageFile

from imaging.formats.opened_image import OpenedImage, damage_found_by_pillow, loaded
from imaging.formats.orientation import read_orientation
from imaging.limits import Limits
from imaging.outcome import RejectReason, Unusable

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAKES_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_XMP_KEYWORD = b"XML:com.adobe.xmp"
# ImageMagick writes metadata as text; APP1 is a JPEG's segment of that name, EXIF or XMP.
_RAW_PROFILES = {b"Raw profile type " + kind for kind in (b"exif", b"xmp", b"APP1", b"app1")}
# Enough for any orientation entry; compressed text is not unpacked beyond it.
_MAX_TEXT_BYTES = 65_536
# An XMP packet in an APP1 profile begins after the name of its namespace.
_XMP_SEARCHED_BYTES = 40

# Memory of decoding, by the header's colour type, in bytes a pixel; measured on 12 megapixels.
# Pillow's own image is 4 (palette and grey 1, 16-bit grey 2). On top come its copies on the way
# to RGB on white: RGB for a palette, RGBA and RGB wherever there is transparency.
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_BYTES_PER_PIXEL = {_GREY: 5, _RGB: 5, _PALETTE: 6, _GREY_ALPHA: 13, _RGBA: 9}
_BYTES_PER_PIXEL_WITH_TRANSPARENT_COLOUR = 13


@dataclass(slots=True)
class _Chunks:
    kept: list[memoryview | bytes] = field(default_factory=list)
    exif: bytes | None = None
    xmp: bytes | None = None
    transparent_colour: bytes | None = None
    """Body of the tRNS chunk."""


def open_png(data: bytes, limits: Limits) -> OpenedImage:
    """Opens a PNG file whose chunks are all whole; raises Unusable."""
    size, depth, colour = _read_image_header(data)
    limits.check_size(size)
    chunks = _read_chunks(data, limits, size)
    bytes_per_pixel = _BYTES_PER_PIXEL[colour]
    if chunks.transparent_colour is not None:
        bytes_per_pixel = _BYTES_PER_PIXEL_WITH_TRANSPARENT_COLOUR
        chunks.kept.insert(-1, _transparency_for_pillow(chunks.transparent_colour, depth, colour))
    limits.check_memory(bytes_per_pixel * size[0] * size[1], size)
    with damage_found_by_pillow(size):
        image = PngImageFile(io.BytesIO(b"".join([_SIGNATURE, *chunks.kept])))
    orientation = read_orientation(chunks.exif, chunks.xmp)
    decode = partial(loaded, image)
    return OpenedImage("PNG", decode, size, orientation, extent=size)


def _read_image_header(data: bytes) -> tuple[tuple[int, int], int, int]:
    """Width and height, bits a sample, colour type."""
    if len(data) < 33:
        raise Unusable(RejectReason.TRUNCATED, "the file ends within its header")
    length, name, width, height, depth, colour = struct.unpack_from(">I4sIIBB", data, 8)
    if name != b"IHDR" or length != 13:
        raise Unusable(RejectReason.CORRUPT, "does not begin with an image header")
    if colour not in _BYTES_PER_PIXEL:
        raise Unusable(RejectReason.CORRUPT, f"colour type {colour} does not exist")
    return (width, height), depth, colour


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
        elif name == b"tRNS":
            chunks.transparent_colour = data[start + 8 : end - 4]
        elif name == b"eXIf":
            chunks.exif = chunks.exif or data[start + 8 : end - 4]
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            _read_text(chunks, name, data[start + 8 : end - 4])
    return chunks


def _transparency_for_pillow(body: bytes, depth: int, colour: int) -> bytes:
    """A tRNS chunk in the 8 bits that Pillow gives samples of 1, 2, 4 and 16 bits, of a body in the
    file's own."""
    if colour in (_GREY, _RGB) and depth != 8 and not (depth == 16 and colour == _GREY):
        body = body[: len(body) // 2 * 2]
        samples = [sample for (sample,) in struct.iter_unpack(">H", body)]
        highest = (1 << depth) - 1
        samples = [(sample & highest) * 255 // highest for sample in samples]
        body = struct.pack(f">{len(samples)}H", *samples)
    name_and_body = b"tRNS" + body
    checksum = zlib.crc32(name_and_body)
    return struct.pack(">I", len(body)) + name_and_body + struct.pack(">I", checksum)


def _walk(data: bytes, size: tuple[int, int]) -> Iterator[tuple[bytes, int, int]]:
    """Yields (name, start, end) of each whole chunk up to the last.

    A damaged chunk raises Unusable, unless the image can be shown without it (its name begins with
    a small letter): then it counts as absent, as in browsers.
    """
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
        if zlib.crc32(memoryview(data)[position + 4 : end - 4]) == checksum:
            yield name, position, end
        elif name[:1].isupper():
            raise Unusable(RejectReason.CORRUPT, "a chunk's checksum is wrong", size)
        position = end


def _read_text(chunks: _Chunks, name: bytes, body: bytes) -> None:
    """Takes what may hold the orientation: XMP, or EXIF the way ImageMagick writes it."""
    keyword, _, rest = body.partition(b"\0")
    if keyword in _RAW_PROFILES and name in (b"tEXt", b"zTXt"):
        profile = _from_hex(rest if name == b"tEXt" else _unpack(rest[1:]))
        if b"<" in profile[:_XMP_SEARCHED_BYTES]:
            chunks.xmp = chunks.xmp or profile[profile.index(b"<") :]
        else:
            chunks.exif = chunks.exif or profile
    elif keyword == _XMP_KEYWORD and name == b"iTXt":
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
