"""Reads bits, highest first, as the headers of AV1 and HEVC have them."""

from dataclasses import dataclass

# The longest number in a header that is looked at has 32 bits; more zeros are crafted.
_MOST_LEADING_ZEROS = 32


@dataclass(slots=True)
class Bits:
    """A place among some bits; there are zeros after the end."""

    data: bytes
    position: int = 0

    def take(self, count: int) -> int:
        """Reads the next `count` bits as a number."""
        end = self.position + count
        covered = self.data[self.position // 8 : (end + 7) // 8]
        covered = covered.ljust((end + 7) // 8 - self.position // 8, b"\0")
        self.position = end
        return int.from_bytes(covered, "big") >> -end % 8 & (1 << count) - 1

    def golomb(self) -> int:
        """Reads a number of an unknown number of bits (ITU-T H.265, 9.2)."""
        zeros = 0
        while zeros < _MOST_LEADING_ZEROS and not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)
