"""JPEG (ISO 10918-1): walks the markers, checks them, opens what is left with Pillow.

Pillow and libjpeg get only the segments that make pixels. EXIF, XMP, ICC profiles, previews,
Photoshop blocks and the index of multi-picture files (MPO, Ultra HDR) never reach their parsers:
they are where crafted headers cost time and memory, and only the orientation in them matters here.
The first picture of a multi-picture file is its main one, and libjpeg stops at its end.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL.JpegImagePlugin import JpegImageFile

from imaging.formats.opened_image import OpenedImage, damage_found_by_pillow
from imaging.formats.orientation import read_orientation
from imaging.geometry import Frame, frame
from imaging.limits import Limits
from imaging.outcome import RejectReason, Unusable
from imaging.spec import ImageSpec

_SOI, _EOI, _SOS, _DHT, _JPG, _DAC, _DQT, _DRI = 0xD8, 0xD9, 0xDA, 0xC4, 0xC8, 0xCC, 0xDB, 0xDD
_APP0_JFIF, _APP1_EXIF_OR_XMP, _APP14_ADOBE = 0xE0, 0xE1, 0xEE
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {_DHT, _JPG, _DAC}
_PROGRESSIVE = {0xC2, 0xCA}
_DECODABLE = {0xC0, 0xC1, 0xC9} | _PROGRESSIVE
_MAKES_PIXELS = {_DHT, _DAC, _DQT, _DRI, _APP0_JFIF, _APP14_ADOBE} | _FRAME_HEADERS
_WITHOUT_LENGTH = {0x01, _SOI, _EOI, *range(0xD0, 0xD8)}
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"

# A marker is 0xFF, perhaps repeated as fill, then its code. In the coded data of a scan, 0xFF is
# followed by 0x00 (a stuffed byte) or by a restart marker, neither of which ends the scan.
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_MARKER_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")

# Pillow stores RGB in four bytes a pixel.
_PILLOW_BYTES_PER_PIXEL = 4
# libjpeg keeps every coefficient of an image that comes in several scans, in 16 bits.
_COEFFICIENT_BYTES = 2
# The decoding at reduced size leaves at least this many times the sides that the resize needs:
# on 12 megapixels 28 ms and 0.95 levels from the reference with 1, 32 ms and 0.25 with 2, 41 ms and
# 0.14 with 3 (the photo of bench/prepare.py).
_SCALE_MARGIN = 2


@dataclass(slots=True)
class _Header:
    """What the segments before the first scan say."""

    kept: list[bytes] = field(default_factory=list)
    """The segments that make pixels, markers included."""
    exif: bytes | None = None
    xmp: bytes | None = None
    frame_marker: int | None = None
    size: tuple[int, int] = (0, 0)
    sampling: list[tuple[int, int]] = field(default_factory=list)
    """Horizontal and vertical sampling factor of each component."""
    first_scan: int = 0
    """Where the first scan's marker begins, bytes from the start of the file."""
    components_in_first_scan: int = 0

    @property
    def several_scans(self) -> bool:
        """Whether the image comes in several scans; in one alone, libjpeg refuses a second."""
        all_at_once = self.components_in_first_scan == len(self.sampling)
        return self.frame_marker in _PROGRESSIVE or not all_at_once


def open_jpeg(data: bytes, spec: ImageSpec, limits: Limits) -> OpenedImage:
    """Opens the main picture of a JPEG file for a decoding at reduced size; raises Unusable."""
    header = _read_header(data, limits)
    limits.check_size(header.size)
    _check_scans(data, header, limits)
    if data.rfind(b"\xff\xd9") < header.first_scan:
        raise Unusable(RejectReason.TRUNCATED, "the image has no end", header.size)
    stripped = b"".join([b"\xff\xd8", *header.kept, memoryview(data)[header.first_scan :]])
    with damage_found_by_pillow(header.size):
        image = JpegImageFile(io.BytesIO(stripped))
    orientation = read_orientation(header.exif, header.xmp)
    extent = _reduce(image, frame(header.size, orientation, spec))
    limits.check_memory(_decoded_bytes(header, image.size), header.size)
    return OpenedImage("JPEG", image, header.size, orientation, extent)


def _reduce(image: JpegImageFile, part: Frame) -> tuple[float, float]:
    """Lets libjpeg decode at 1/2, 1/4 or 1/8 where enough is left; returns the image's extent."""
    width, height = part.resized
    drafted = image.draft(None, (_SCALE_MARGIN * width, _SCALE_MARGIN * height))
    if drafted is None:
        return image.size
    _mode, (_left, _top, right, bottom) = drafted
    return right, bottom


def _read_header(data: bytes, limits: Limits) -> _Header:
    header = _Header()
    for count, (marker, start, body) in enumerate(_segments(data)):
        if count >= limits.max_chunks:
            raise Unusable(
                RejectReason.TOO_MANY_CHUNKS, f"more than {limits.max_chunks:,} header segments"
            )
        if marker == _SOS:
            header.first_scan = start
            header.components_in_first_scan = body[0] if body else 0
            break
        if marker in _FRAME_HEADERS:
            _read_frame_header(header, marker, body)
        elif marker == _APP1_EXIF_OR_XMP and header.exif is None and body.startswith(_EXIF):
            header.exif = body
        elif marker == _APP1_EXIF_OR_XMP and header.xmp is None and body.startswith(_XMP):
            header.xmp = body
        if marker in _MAKES_PIXELS:
            length = len(body) + 2
            header.kept.append(bytes([0xFF, marker]) + length.to_bytes(2, "big") + body)
    if header.frame_marker is None:
        raise Unusable(RejectReason.CORRUPT, "a scan without a frame header")
    return header


def _segments(data: bytes, position: int = 2) -> Iterator[tuple[int, int, bytes]]:
    """Yields (marker, where it begins, body) of each segment up to the first scan's.

    Junk between segments is passed over, as libjpeg does.
    """
    while match := _MARKER.search(data, position):
        marker, position = match[1][0], match.end()
        if marker == _EOI:
            raise Unusable(RejectReason.CORRUPT, "the image ends before its first scan")
        if marker in _WITHOUT_LENGTH:
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        if length < 2:
            break
        end = position + length
        if end > len(data):
            break
        yield marker, match.end() - 2, data[position + 2 : end]
        position = end
    raise Unusable(RejectReason.TRUNCATED, "the file ends within its header")


def _read_frame_header(header: _Header, marker: int, body: bytes) -> None:
    if header.frame_marker is not None:
        raise Unusable(RejectReason.CORRUPT, "more than one frame header", header.size)
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        raise Unusable(RejectReason.CORRUPT, "the frame header is too short")
    header.frame_marker = marker
    header.size = (int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big"))
    bits, components = body[0], body[5]
    if marker not in _DECODABLE or bits != 8 or components not in (1, 3, 4):
        raise Unusable(
            RejectReason.UNSUPPORTED_FORMAT,
            f"JPEG of kind 0x{marker:02X} with {bits} bits and {components} components",
            header.size,
        )
    factors = body[7 : 6 + 3 * components : 3]
    header.sampling = [(factor >> 4, factor & 0x0F) for factor in factors]


def _check_scans(data: bytes, header: _Header, limits: Limits) -> None:
    """Rejects files whose scans go over the whole image again and again.

    A few bytes ask for one more pass ("Two Issues with the JPEG Standard", libjpeg-turbo.org), and
    decoding at reduced size does not make a pass cheaper.
    """
    if not header.several_scans or data.count(b"\xff\xda") <= limits.max_scans:
        return
    # Previews and appended files (a motion photo's video) hold such byte pairs too: walk.
    if _count_scans(data, header.first_scan, limits.max_scans) > limits.max_scans:
        raise Unusable(
            RejectReason.TOO_MANY_SCANS, f"more than {limits.max_scans} scans", header.size
        )


def _count_scans(data: bytes, position: int, at_most: int) -> int:
    """Scans up to the end of the image; stops once there are more than `at_most`."""
    scans = 0
    while scans <= at_most and (match := _MARKER_AFTER_SCAN.search(data, position)):
        marker, position = match[1][0], match.end()
        if marker == _EOI:
            break
        if marker not in _WITHOUT_LENGTH:
            position += int.from_bytes(data[position : position + 2], "big")
        scans += marker == _SOS
    return scans


def _decoded_bytes(header: _Header, decoded_size: tuple[int, int]) -> float:
    """Memory that the decoding takes: the pixels, and all coefficients if it needs them at once."""
    width, height = decoded_size
    pixels = _PILLOW_BYTES_PER_PIXEL * width * height
    if not header.several_scans:
        return pixels
    widest = max(max(across, 1) for across, _ in header.sampling)
    tallest = max(max(down, 1) for _, down in header.sampling)
    coefficients_per_pixel = sum(across * down for across, down in header.sampling) / (
        widest * tallest
    )
    full_width, full_height = header.size
    return pixels + _COEFFICIENT_BYTES * coefficients_per_pixel * full_width * full_height
