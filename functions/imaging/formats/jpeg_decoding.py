"""Decodes the scans of a JPEG, or finds that the file does not hold every pixel.

libjpeg, and so every viewer, shows a picture all the same: grey or shifted from the damage on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from imaging.formats.jpeg_scans import DRI, Component, Scan, without_surplus
from imaging.formats.jpeg_trailer import MOST_PADDING_BYTES, is_trailer
from imaging.formats.libjpeg import LibjpegDecoder, Message, require_warnings
from imaging.outcome import RejectReason, Unusable

# A marker that ends the scan before it: libjpeg says what it thinks of that scan's data, and waits
# for the rest of the comment.
_COMMENT_BEGINS, _COMMENT_ENDS, _END_OF_IMAGE = b"\xff\xfe", b"\0\2", b"\xff\xd9"
_DAMAGE, _SURPLUS = "Corrupt JPEG data", "extraneous bytes before marker"
# Data after an image are rarely longer, except a film; and the search must cost almost nothing.
_LOOKED_AT_FOR_AN_END = 64 * 1024
# Of a scanner that appends restart markers.
_MOST_BYTES_BEFORE_A_MARKER = 64


@dataclass(frozen=True, slots=True)
class CodedImage:
    """The parts of a file that libjpeg needs to decode an image."""

    start: bytes
    """SOI and the segments before the first scan."""
    scans: Sequence[Scan]
    size: tuple[int, int]
    components: Sequence[Component]
    restart_interval: int
    """Of the first scan, MCUs; 0 for none."""
    has_end: bool


class _DamageError(Exception):
    def __init__(self, message: Message) -> None:
        # After the warning libjpeg may have said something else, about a marker.
        is_warning = message.text.startswith(_DAMAGE)
        super().__init__(str(message) if is_warning else _DAMAGE)


def decode_at_once(image: JpegImageFile, start: bytes, rest: memoryview) -> Image.Image | None:
    """Decodes an image of one scan, without a copy of its data and a search for its end.

    Args:
        start: SOI and the segments before the scan.
        rest: the file from the scan's header on; what follows the image is not read.

    Returns:
        None if anything is unusual: then `decode_whole` decides.
    """
    require_warnings()
    # libjpeg says nothing about what is left over at the end of a file without an end.
    if bytes(rest[-_LOOKED_AT_FOR_AN_END:]).rfind(_END_OF_IMAGE) < 0:
        return None
    decoder = LibjpegDecoder(image)
    try:
        decoder.feed(start)
        decoder.feed(rest)
        return decoder.pixels if decoder.finished and not decoder.warning_count else None
    except OSError:
        return None
    finally:
        decoder.close()


def decode_whole(image: JpegImageFile, coded: CodedImage) -> Image.Image:
    """Decodes every pixel.

    Raises:
        Unusable: truncated or corrupt, if libjpeg had to make pixels up.
    """
    require_warnings()
    try:
        return _decode(image, coded.start, coded.scans)
    except (_DamageError, OSError) as damage:
        # Rare, and no damage where something was appended to a scan: look more closely.
        scans = _without_surplus(coded)
        if scans == coded.scans:
            raise _unusable(coded, damage) from damage
    try:
        return _decode(image, coded.start, scans)
    except (_DamageError, OSError) as damage:
        raise _unusable(coded, damage) from damage


def _unusable(coded: CodedImage, damage: Exception) -> Unusable:
    reason = RejectReason.CORRUPT if coded.has_end else RejectReason.TRUNCATED
    return Unusable(reason, str(damage), coded.size)


def _decode(image: JpegImageFile, start: bytes, scans: Sequence[Scan]) -> Image.Image:
    decoder = LibjpegDecoder(image)
    try:
        decoder.feed(start)
        for index, scan in enumerate(scans):
            ends_comment = _COMMENT_ENDS if index else b""
            warnings = decoder.warning_count
            decoder.feed(b"".join([ends_comment, scan.before, scan.data, _COMMENT_BEGINS]))
            if decoder.warning_count > warnings:
                _require_harmless(decoder.last_message, scan, decoder.warning_count - warnings)
            if decoder.finished:
                break
        if not decoder.finished:
            decoder.feed(_COMMENT_ENDS + _END_OF_IMAGE)
        if not decoder.finished:
            raise OSError("libjpeg finds no end")
        return decoder.pixels
    finally:
        decoder.close()


def _require_harmless(message: Message, scan: Scan, warnings: int) -> None:
    surplus_bytes, _marker = message.parameters
    is_surplus = warnings == 1 and _SURPLUS in message.text
    # A damage makes a scan longer or shorter by hundreds of bytes.
    most_bytes = _MOST_BYTES_BEFORE_A_MARKER if scan.has_surplus else MOST_PADDING_BYTES
    is_short = surplus_bytes <= most_bytes
    if not (is_surplus and (is_short or is_trailer(scan.data, surplus_bytes))):
        raise _DamageError(message)


def _without_surplus(coded: CodedImage) -> list[Scan]:
    restart_interval = coded.restart_interval
    scans = []
    for scan in coded.scans:
        restart_interval = restart_interval_in(scan.before, restart_interval)
        scans.append(without_surplus(scan, coded.size, coded.components, restart_interval))
    return scans


def restart_interval_in(segments: bytes, current: int = 0) -> int:
    """MCUs between restart markers (B.2.4.4) as the last DRI segment of these says."""
    position = 0
    while position + 4 <= len(segments):
        length = int.from_bytes(segments[position + 2 : position + 4], "big")
        if segments[position + 1] == DRI and length == 4:
            current = int.from_bytes(segments[position + 4 : position + 6], "big")
        position += 2 + length
    return current
