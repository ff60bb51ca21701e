"""How a prepared photo looks, in three digits: figures that show a drift of the images. They must
cost almost nothing and need no library, since a function that sends npy loads none. So they use one
pixel in STRIDE, and only its green, which has most of the light that people see (0.59 of luma in
ITU-R BT.601). docs/decisions/asking.md has the cost.
"""

from __future__ import annotations

from bisect import bisect_right
from math import sqrt
from operator import mul, sub

# Prime, so that the pixels it meets are in different columns of any image.
STRIDE = 61
CHANNELS, GREEN = 3, 1
# Levels of 0..255 between tenths: about the deciles of 216 photos of dogs and of other things, so
# that each tenth is about as frequent. Other edges would make former counts incomparable.
EDGES: dict[str, tuple[float, ...]] = {
    "brightness": (84, 92, 101, 112, 120, 126, 132, 139, 153),  # the mean
    "contrast": (39, 42, 47, 52, 55, 59, 62, 66, 74),  # the standard deviation
    "sharpness": (4.6, 5.9, 6.7, 7.6, 8.4, 9.5, 10.2, 12.1, 13.8),  # the mean step to the right
}


def measure(pixels: bytes) -> tuple[float, float, float]:
    """Returns brightness, contrast and sharpness, in levels of 0..255.

    Args:
        pixels: uint8 RGB [size, size, 3], as in `Prepared.pixels`.
    """
    step = CHANNELS * STRIDE
    beside = pixels[GREEN + CHANNELS :: step]
    here = pixels[GREEN::step][: len(beside)]
    mean = sum(here) / len(here)
    variance = max(0.0, sum(map(mul, here, here)) / len(here) - mean * mean)
    return mean, sqrt(variance), sum(map(abs, map(sub, here, beside))) / len(here)


def appearance_of(pixels: bytes) -> str:
    """Returns the tenth of each figure of `measure`, 0..9: ``"935"`` is bright and rather flat."""
    found = zip(EDGES.values(), measure(pixels), strict=True)
    return "".join(str(bisect_right(edges, value)) for edges, value in found)
