"""JPEG (ISO 10918-1): checks the markers, then opens the picture with Pillow.

Pillow and libjpeg get only the segments that make pixels. EXIF, XMP, ICC profiles, previews,
Photoshop blocks and the index of multi-picture files (MPO, Ultra HDR) never reach their parsers:
crafted headers there cost time and memory, and only the orientation in them matters here.
The first picture of a multi-picture file is its main one, and libjpeg stops at its end.
"""

import io
from dataclasses import dataclass, field
from functools import partial

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from imaging.formats.jpeg_decoding import (
    CodedImage,
    decode_at_once,
    decode_whole,
    restart_interval_in,
)
from imaging.formats.jpeg_scans import (
    DAC,
    DHT,
    DQT,
    DRI,
    EOI,
    FRAME_HEADERS,
    SOI,
    SOS,
    Component,
    Scan,
    has_hole,
    holds_every_coefficient,
    only_scan,
    read_scans,
    segment,
    segments,
)
from imaging.formats.opened_image import OpenedImage, damage_found_by_pillow
from imaging.formats.orientation import read_orientation
from imaging.geometry import Frame, frame
from imaging.limits import Limits
from imaging.outcome import RejectReason, Unusable
from imaging.spec import ImageSpec

_APP0_JFIF, _APP1_EXIF_OR_XMP, _APP14_ADOBE = 0xE0, 0xE1, 0xEE
_PROGRESSIVE, _ARITHMETIC = {0xC2, 0xCA}, {0xC9, 0xCA}
_DECODABLE = {0xC0, 0xC1} | _PROGRESSIVE | _ARITHMETIC
_MAKES_PIXELS = {DHT, DAC, DQT, DRI, _APP0_JFIF, _APP14_ADOBE} | FRAME_HEADERS
_EXIF = b"Exif\0\0"
_XMP, _EXTENDED_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
# After the name: the whole packet's digest, length and this part's offset (XMP part 3, 1.1.3.1).
_EXTENDED_XMP_HEADER_BYTES = len(_EXTENDED_XMP) + 32 + 4 + 4
# An orientation comes early; nothing beyond is looked at.
_MAX_XMP_BYTES = 1_000_000

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
    """The content of the segments before the first scan."""

    kept: list[bytes] = field(default_factory=list)
    """The segments that make pixels, markers included."""
    exif: bytes | None = None
    xmp: bytes | None = None
    extended_xmp: bytes = b""
    """The rest of an XMP packet that did not fit in a segment, as Adobe's tools write it."""
    frame_marker: int | None = None
    size: tuple[int, int] = (0, 0)
    components: list[Component] = field(default_factory=list)
    first_scan: int = 0
    """Where the first scan's marker begins, bytes from the start of the file."""
    first_scan_header: bytes = b""

    @property
    def start(self) -> bytes:
        """SOI and the segments before the first scan that make pixels."""
        return b"".join([bytes([0xFF, SOI]), *self.kept])

    @property
    def several_scans(self) -> bool:
        """Whether the image comes in several scans; in one alone, libjpeg refuses a second."""
        all_at_once = self.first_scan_header[:1] == bytes([len(self.components)])
        return self.frame_marker in _PROGRESSIVE or not all_at_once


def open_jpeg(data: bytes, spec: ImageSpec, limits: Limits) -> OpenedImage:
    """Opens the main picture of a JPEG file for a decoding at reduced size; raises Unusable."""
    header = _read_header(data, limits)
    limits.check_size(header.size)
    # Scans are looked at before the first is decoded; a file of one scan is decoded at once.
    if header.several_scans or header.frame_marker in _ARITHMETIC:
        decode = partial(decode_whole, coded=_coded_image(data, header, limits))
    else:
        _require_well_formed([Scan(b"", header.first_scan_header, b"")], header.size)
        decode = partial(_decode_only_scan, data=data, header=header, limits=limits)
    with damage_found_by_pillow(header.size):
        # Pillow reads the header up to the first scan's.
        first_scan = segment(SOS, header.first_scan_header)
        image = JpegImageFile(io.BytesIO(header.start + first_scan))
    orientation = read_orientation(header.exif, header.xmp, header.extended_xmp)
    extent = _reduce(image, frame(header.size, orientation, spec))
    limits.check_memory(_decoded_bytes(header, image.size), header.size)
    return OpenedImage("JPEG", partial(decode, image), header.size, orientation, extent)


def _decode_only_scan(
    image: JpegImageFile, data: bytes, header: _Header, limits: Limits
) -> Image.Image:
    """Decodes a file of one scan, twice where it is unusual; raises Unusable."""
    rest = memoryview(data)[header.first_scan :]
    at_once = decode_at_once(image, header.start, rest)
    return at_once or decode_whole(image, _coded_image(data, header, limits))


def _coded_image(data: bytes, header: _Header, limits: Limits) -> CodedImage:
    """The segments and scans that make pixels; raises Unusable where some are missing.

    Files whose scans go over the whole image again and again are refused: a few bytes ask for one
    more pass ("Two Issues with the JPEG Standard", libjpeg-turbo.org), and decoding at reduced size
    does not make a pass cheaper.
    """
    if header.several_scans:
        most = (limits.max_scans, limits.max_chunks)
        scans, has_end = read_scans(data, header.first_scan, *most)
        if len(scans) > limits.max_scans:
            detail = f"more than {limits.max_scans} scans"
            raise Unusable(RejectReason.TOO_MANY_SCANS, detail, header.size)
        _require_well_formed(scans, header.size)
        if not holds_every_coefficient(scans, header.components, has_end=has_end):
            raise Unusable(RejectReason.TRUNCATED, "scans are missing", header.size)
        if any(has_hole(scan) for scan in scans):
            raise Unusable(RejectReason.CORRUPT, "a hole of zeros in a scan", header.size)
    else:
        scans, has_end = only_scan(data, header.first_scan, header.first_scan_header)
        _require_well_formed(scans, header.size)
    if not has_end and header.frame_marker in _ARITHMETIC:
        # An arithmetic decoder reads on without data and does not warn (D.2.6).
        raise Unusable(RejectReason.TRUNCATED, "the image has no end", header.size)
    return CodedImage(
        start=header.start,
        scans=scans,
        size=header.size,
        components=header.components,
        restart_interval=restart_interval_in(b"".join(header.kept)),
        has_end=has_end,
    )


def _require_well_formed(scans: list[Scan], size: tuple[int, int]) -> None:
    if not all(scan.is_well_formed for scan in scans):
        raise Unusable(RejectReason.CORRUPT, "a scan's header has a wrong length", size)


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
    for count, (marker, start, body) in enumerate(segments(data)):
        if count >= limits.max_chunks:
            raise Unusable(
                RejectReason.TOO_MANY_CHUNKS, f"more than {limits.max_chunks:,} header segments"
            )
        if marker == EOI:
            raise Unusable(RejectReason.CORRUPT, "the image ends before its first scan")
        if marker == SOS:
            header.first_scan, header.first_scan_header = start, body
            break
        if marker in FRAME_HEADERS:
            _read_frame_header(header, marker, body)
        elif marker == _APP1_EXIF_OR_XMP:
            _read_metadata(header, body)
        if marker in _MAKES_PIXELS:
            header.kept.append(segment(marker, body))
    else:
        raise Unusable(RejectReason.TRUNCATED, "the file ends within its header")
    if header.frame_marker is None:
        raise Unusable(RejectReason.CORRUPT, "a scan without a frame header")
    return header


def _read_metadata(header: _Header, body: bytes) -> None:
    if header.exif is None and body.startswith(_EXIF):
        header.exif = body
    elif header.xmp is None and body.startswith(_XMP):
        header.xmp = body[len(_XMP) :]
    elif body.startswith(_EXTENDED_XMP) and len(header.extended_xmp) < _MAX_XMP_BYTES:
        header.extended_xmp += body[_EXTENDED_XMP_HEADER_BYTES:]


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
    for number, factors in zip(*(body[at : 6 + 3 * components : 3] for at in (6, 7)), strict=True):
        header.components.append(Component(number, factors >> 4, factors & 0x0F))


def _decoded_bytes(header: _Header, decoded_size: tuple[int, int]) -> float:
    """Memory that the decoding takes: the pixels, and all coefficients if it needs them at once."""
    width, height = decoded_size
    pixels = _PILLOW_BYTES_PER_PIXEL * width * height
    if not header.several_scans:
        return pixels
    widest = max(max(each.across, 1) for each in header.components)
    tallest = max(max(each.down, 1) for each in header.components)
    blocks_per_mcu = sum(each.across * each.down for each in header.components)
    coefficients_per_pixel = blocks_per_mcu / (widest * tallest)
    full_width, full_height = header.size
    return pixels + _COEFFICIENT_BYTES * coefficients_per_pixel * full_width * full_height
