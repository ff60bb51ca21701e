"""How a HEIF picture is cropped and turned to be displayed: `clap`, `irot`, `imir`.

They apply in the order in which the picture lists them (ISO 23008-12, 6.5); a crop comes first
(MIAF, ISO 23000-22, 7.3.6.7).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from imaging.formats.heif_items import Property
from imaging.formats.isobmff import Cursor
from imaging.outcome import RejectReason, Unusable

# EXIF's orientation by whether the image is mirrored left to right and by the quarter turns
# clockwise that follow.
_EXIF = {
    (False, 0): 1, (True, 0): 2, (False, 2): 3, (True, 2): 4,
    (True, 3): 5, (False, 1): 6, (True, 1): 7, (False, 3): 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Crop:
    """The part of the stored picture that is displayed."""

    box: tuple[int, int, int, int]
    """Left, top, right, bottom, pixels."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        left, top, right, bottom = self.box
        return right - left, bottom - top


def read_transforms(properties: Iterable[Property], size: tuple[int, int]) -> tuple[Crop, int]:
    """Returns the crop of a picture of this size, and the EXIF orientation of what is left.

    Raises:
        Unusable: for a crop beyond the picture, a second one, or one after a turn.
    """
    crop: Crop | None = None
    is_mirrored, turns, is_turned = False, 0, False
    for each in properties:
        value = Cursor(each.body)
        match each.name:
            case b"clap":
                if crop or is_turned:
                    detail = "a HEIF picture with a crop after another crop or turn"
                    raise Unusable(RejectReason.UNSUPPORTED_FORMAT, detail, size)
                crop = _read_crop(value, size)
            case b"irot":
                turns, is_turned = (turns - value.uint(1)) % 4, True  # they are anticlockwise
            case b"imir":
                # Top to bottom is left to right and half a turn.
                half_turn = 0 if value.uint(1) & 1 else 2
                is_mirrored, turns = not is_mirrored, (half_turn - turns) % 4
                is_turned = True
    return crop or Crop((0, 0, *size)), _EXIF[is_mirrored, turns]


def _read_crop(value: Cursor, size: tuple[int, int]) -> Crop:
    """Reads `clap` (ISO 14496-12, 12.1.4): width, height, and the centre's offset from the
    picture's, each a fraction.
    """
    box = []
    sides = [_fraction(value, signed=False), _fraction(value, signed=False)]
    for side, kept in zip(size, sides, strict=True):
        centre = _fraction(value, signed=True) + Fraction(side - 1, 2)
        begin = math.floor(centre - (kept - 1) / 2)
        box += [begin, begin + math.floor(kept)]
    left, right, top, bottom = box
    if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
        raise Unusable(RejectReason.CORRUPT, "a crop beyond the picture", size)
    return Crop((left, top, right, bottom))


def _fraction(value: Cursor, *, signed: bool) -> Fraction:
    numerator = int.from_bytes(value.take(4), "big", signed=signed)
    denominator = value.uint(4)
    if not denominator:
        raise Unusable(RejectReason.CORRUPT, "a crop divided by zero")
    return Fraction(numerator, denominator)
