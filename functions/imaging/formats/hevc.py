"""HEVC (ITU-T H.265) as a still picture: predicts the decoder's work, and passes only needed bytes.

An item's data are NAL units, each after its length; parameter sets are apart, in `hvcC`
(ISO 14496-15, 8.3). The decoder gets the parameter sets whose size was read here and the slices of
one picture that needs no other; messages, and parameter sets among the slices, are left out.
"""

import re
from dataclasses import dataclass

from imaging.formats.bits import Bits
from imaging.formats.isobmff import Cursor
from imaging.outcome import RejectReason, Unusable

_HEADER_BYTES = 2
_INTRA_PICTURE = range(16, 22)  # BLA, IDR and CRA pictures (table 7-1)
_OTHER_SLICES = range(16)
_VPS, _SPS, _PPS = 32, 33, 34
_CONFIGURATION_BYTES = 22
# Phones write 130 bytes and three or four units. HEVC numbers 16 VPS, 16 SPS and 64 PPS; messages
# may stand beside them.
_MOST_CONFIGURATION_BYTES, _MOST_UNITS = 65_536, 128
# A slice contains no such bytes: an encoder puts a 3 in between (7.4.2).
_IMPOSSIBLE_IN_SLICE = re.compile(rb"\0\0[\0\1\2]")
# How many luma samples a chroma sample covers across and down, by chroma_format_idc (table 6-1);
# without chroma, units of the window.
_CHROMA_UNITS = ((1, 1), (2, 2), (2, 1), (1, 1))
_MOST_BITS = 16


@dataclass(frozen=True, slots=True)
class Sequence:
    """The description of a picture in a sequence parameter set."""

    coded_size: tuple[int, int]
    """Width and height that are decoded, pixels."""
    window: tuple[int, int, int, int]
    """Left, top, right, bottom of the part of them that is shown."""
    chroma_units: tuple[int, int] | None
    """How many pixels a chroma sample covers across and down; None for grey."""
    depths: tuple[int, int]
    """Bits a sample, luma and chroma."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height that are shown, pixels."""
        left, top, right, bottom = self.window
        return right - left, bottom - top

    @property
    def plane_shapes(self) -> list[tuple[tuple[int, int], int]]:
        """Width, height and bytes a sample of each plane."""
        width, height = self.coded_size
        luma, chroma = (1 if depth == 8 else 2 for depth in self.depths)
        if self.chroma_units is None:
            return [((width, height), luma)]
        across, down = self.chroma_units
        return [((width, height), luma), *[((width // across, height // down), chroma)] * 2]


@dataclass(frozen=True, slots=True)
class Configuration:
    """The parameter sets of a picture (`hvcC`)."""

    units: list[bytes]
    """Video, sequence and picture parameter sets."""
    length_bytes: int
    """Bytes of the length before each NAL unit of the data."""
    sequence: Sequence


def read_configuration(body: memoryview) -> Configuration:
    """Reads the body of an `hvcC` box; raises Unusable."""
    if len(body) > _MOST_CONFIGURATION_BYTES:
        detail = f"{len(body):,} bytes of HEVC parameters"
        raise Unusable(RejectReason.CORRUPT, detail)
    cursor, count = Cursor(body), 0
    head = bytes(cursor.take(_CONFIGURATION_BYTES))
    sets: dict[int, list[bytes]] = {_VPS: [], _SPS: [], _PPS: []}
    for _array in range(cursor.uint(1)):
        cursor.uint(1)
        units = cursor.uint(2)
        count += units
        if count > _MOST_UNITS:
            raise Unusable(RejectReason.TOO_MANY_CHUNKS, f"more than {_MOST_UNITS} parameter sets")
        for _unit in range(units):
            unit = bytes(cursor.take(cursor.uint(2)))
            sets.get(_kind(unit), []).append(unit)
    if len(sets[_SPS]) != 1:
        detail = f"an HEVC picture with {len(sets[_SPS])} sequence parameter sets"
        raise Unusable(RejectReason.CORRUPT, detail)
    known = [*sets[_VPS], *sets[_SPS], *sets[_PPS]]
    return Configuration(known, (head[-1] & 3) + 1, _read_sequence(*sets[_SPS]))


def read_slices(data: bytes, configuration: Configuration, most: int) -> list[bytes]:
    """Returns the NAL units of the picture; raises Unusable."""
    cursor = Cursor(memoryview(data))
    slices: list[bytes] = []
    while cursor.position < len(data):
        unit = bytes(cursor.take(cursor.uint(configuration.length_bytes)))
        kind = _kind(unit)
        if kind in _OTHER_SLICES:
            raise Unusable(RejectReason.CORRUPT, "a still picture that needs other pictures")
        if kind not in _INTRA_PICTURE:
            continue
        begins_picture = unit[_HEADER_BYTES] >= 0x80
        if begins_picture is not (not slices):
            raise Unusable(RejectReason.CORRUPT, "not exactly one picture where one is expected")
        if _IMPOSSIBLE_IN_SLICE.search(unit):
            raise Unusable(RejectReason.CORRUPT, "bytes in a slice that HEVC does not allow")
        slices.append(unit)
        if len(slices) > most:
            raise Unusable(RejectReason.TOO_MANY_CHUNKS, f"more than {most:,} slices in a picture")
    if not slices:
        raise Unusable(RejectReason.CORRUPT, "a picture without slices")
    return slices


def _kind(unit: bytes) -> int:
    """The type of a NAL unit (7.3.1.2); -1 for one of another layer, which is left out."""
    header = int.from_bytes(unit[:_HEADER_BYTES], "big")
    return header >> 9 & 0x3F if len(unit) > _HEADER_BYTES and not header >> 3 & 0x3F else -1


def _read_sequence(unit: bytes) -> Sequence:
    """Reads a sequence parameter set up to its bit depths (7.3.2.2.1)."""
    bits = Bits(unit[_HEADER_BYTES:].replace(b"\0\0\3", b"\0\0"))
    bits.take(4)
    most_sub_layer = bits.take(3)
    bits.take(1)
    _skip_profile(bits, most_sub_layer)
    bits.golomb()  # the set's number
    chroma = bits.golomb()
    if chroma >= len(_CHROMA_UNITS):
        raise Unusable(RejectReason.CORRUPT, "an HEVC picture with an unknown chroma format")
    if chroma == 3 and bits.take(1):
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, "an HEVC picture of three grey pictures")
    width, height = bits.golomb(), bits.golomb()
    across, down = _CHROMA_UNITS[chroma]
    has_window = bits.take(1)
    left, right, top, bottom = (bits.golomb() if has_window else 0 for _side in range(4))
    window = (across * left, down * top, width - across * right, height - down * bottom)
    depths = 8 + bits.golomb(), 8 + bits.golomb()
    if width % across or height % down or max(depths) > _MOST_BITS:
        raise Unusable(RejectReason.CORRUPT, "an HEVC picture with impossible measures")
    return Sequence((width, height), window, (across, down) if chroma else None, depths)


def _skip_profile(bits: Bits, most_sub_layer: int) -> None:
    """Skips profile_tier_level (7.3.3)."""
    bits.take(88 + 8)
    present = [(bits.take(1), bits.take(1)) for _ in range(most_sub_layer)]
    if most_sub_layer:
        bits.take(2 * (8 - most_sub_layer))
    for profile, level in present:
        bits.take(88 * profile + 8 * level)
