"""The size of a picture in AV1 data (AV1 Bitstream & Decoding Process Specification, 5.3, 5.5)."""

from dataclasses import dataclass

from imaging.outcome import RejectReason, Unusable

_SEQUENCE_HEADER = 1


def coded_pixels(data: bytes) -> int:
    """The most pixels that a frame in `data` can have; 0 if no AV1 data is in it."""
    most, position = 0, 0
    while position < len(data):
        first = data[position]
        kind, has_extension, has_size = first >> 3 & 15, first >> 2 & 1, first >> 1 & 1
        position += 1 + has_extension
        size = len(data) - position
        if has_size:
            size, position = _leb128(data, position)
        if kind == _SEQUENCE_HEADER:
            most = max(most, _frame_pixels(_Bits(data[position : position + size])))
        position += size
    return most


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    """A number of 7 bits a byte, lowest first, and the position after it."""
    value = 0
    for index, byte in enumerate(data[position : position + 8]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise Unusable(RejectReason.CORRUPT, "an AV1 unit without a length")


@dataclass(slots=True)
class _Bits:
    data: bytes
    position: int = 0

    def take(self, count: int) -> int:
        """The next `count` bits, highest first; zeros after the end."""
        end = self.position + count
        covered = self.data[: (end + 7) // 8].ljust((end + 7) // 8, b"\0")
        self.position = end
        return int.from_bytes(covered, "big") >> -end % 8 & (1 << count) - 1


def _frame_pixels(bits: _Bits) -> int:
    """Reads a sequence header up to the frame size (5.5.1)."""
    bits.take(3 + 1)  # profile, still picture
    reduced_still_picture = bits.take(1)
    if reduced_still_picture:
        bits.take(5)  # level
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    if not reduced_still_picture:
        # A frame may say another size, in as many bits.
        return (1 << width_bits) * (1 << height_bits)
    return (bits.take(width_bits) + 1) * (bits.take(height_bits) + 1)


def _skip_operating_points(bits: _Bits) -> None:
    if bits.take(1):
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, "an AVIF picture with video timing")
    display_delay = bits.take(1)
    for _point in range(bits.take(5) + 1):
        bits.take(12)
        level = bits.take(5)
        if level > 7:
            bits.take(1)  # tier
        if display_delay and bits.take(1):
            bits.take(4)
