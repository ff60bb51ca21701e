"""Finds copies that were edited: mirrored, turned, framed, stamped, cropped.

Turned and mirrored copies have the same perceptual hash in one of eight positions. Two photos are
candidates for the others when the cosine of their features is high, because an edit changes what a
network sees less than it changes pixels; but photos of one breed are near each other too, so the
middle of one photo must then be found in the pixels of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.data.duplicates import NEAR_BITS, perceptual_hash

# Of 203 photos of 21 breeds and other things, two different ones had a cosine of .86 and, among the
# 60 nearest, a likeness of .82; docs/decisions/training.md has the figures of the copies.
SAME_COSINE, SAME_LIKENESS = 0.75, 0.88
NEAREST = 4  # compared by pixels for each photo
_ROWS_AT_ONCE = 1024  # blocks of 1,024 x 1,024 cosines: 4 MB
# The middle of an image, searched in the other at these sizes.
KEPT_PIXELS, GREY_PIXELS, MIDDLE_PIXELS = 40, 32, 22
POSITIONS = 8
SCALES = (0.7, 0.8, 0.9, 1.0, 1.12, 1.25)


@dataclass(frozen=True, slots=True)
class Appearance:
    """The looks of a photo."""

    hashes: tuple[int, ...]
    """Perceptual hashes in its eight positions; the first is that of the photo as it is."""
    shown: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, pixels: npt.NDArray[np.uint8]) -> Appearance:
        """Of a square image, uint8 [size, size, 3]."""
        return cls(positions(pixels), shown(pixels))


def positions(pixels: npt.NDArray[np.uint8]) -> tuple[int, ...]:
    """The perceptual hashes of a square image turned and mirrored in all eight ways.

    The first is that of the image as it is.
    """
    turned = [np.rot90(pixels, number) for number in range(4)]
    return tuple(
        perceptual_hash(np.ascontiguousarray(each))
        for each in (*turned, *(each[:, ::-1] for each in turned))
    )


def turned_pairs(hashes: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
    """Pairs of indices whose hashes are near in any two positions, the lower index first.

    It compares one position of each with all eight of the others, which are the same eight.
    """
    first = np.array([each[0] for each in hashes], np.uint64)
    others = np.array(hashes, np.uint64).reshape(len(hashes), POSITIONS)
    for start in range(0, len(first), _ROWS_AT_ONCE):
        block = others[start : start + _ROWS_AT_ONCE]
        for low in range(0, start + len(block), _ROWS_AT_ONCE):
            against = first[low : min(low + _ROWS_AT_ONCE, start + len(block))]
            near = np.zeros((len(block), len(against)), bool)
            for position in block.T:
                near |= np.bitwise_count(position[:, None] ^ against[None, :]) <= NEAR_BITS
            for row, column in np.argwhere(near):
                if low + column < start + row:
                    yield int(low + column), int(start + row)


def nearest_pairs(
    features: npt.NDArray[np.float32], cosine: float = SAME_COSINE, nearest: int = NEAREST
) -> list[tuple[int, int]]:
    """The pairs of each photo and its `nearest` by features, with at least this cosine.

    It compares all pairs in blocks, so its memory does not grow with them, and its time does not
    with the number of photos that are alike.

    Args:
        features: float32 [n, d].
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    values = features / np.maximum(lengths, 1e-9)
    best = np.full((len(values), nearest), -2.0, np.float32)
    other = np.full((len(values), nearest), -1, np.int64)

    def keep(start: int, low: int, cosines: npt.NDArray[np.float32]) -> None:
        rows = slice(start, start + len(cosines))
        names = np.broadcast_to(np.arange(low, low + cosines.shape[1]), cosines.shape)
        found, whose = np.hstack([best[rows], cosines]), np.hstack([other[rows], names])
        top = np.argpartition(-found, nearest - 1, axis=1)[:, :nearest]
        best[rows] = np.take_along_axis(found, top, axis=1)
        other[rows] = np.take_along_axis(whose, top, axis=1)

    for start in range(0, len(values), _ROWS_AT_ONCE):
        block = values[start : start + _ROWS_AT_ONCE]
        for low in range(0, start, _ROWS_AT_ONCE):
            cosines = block @ values[low : low + _ROWS_AT_ONCE].T
            keep(start, low, cosines)
            keep(low, start, cosines.T)
        within = block @ block.T
        np.fill_diagonal(within, -2.0)
        keep(start, start, within)
    rows, columns = np.nonzero(best >= cosine)
    pairs = np.sort(np.stack([rows, other[rows, columns]], axis=1), axis=1)
    return [(one, two) for one, two in np.unique(pairs, axis=0).tolist()]


def is_edit(one: Appearance, other: Appearance) -> bool:
    """Whether one is a copy of the other: turned or mirrored, or with its middle in the other."""
    near = any((one.hashes[0] ^ position).bit_count() <= NEAR_BITS for position in other.hashes)
    return near or likeness(one.shown, other.shown) >= SAME_LIKENESS


def shown(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The part of an image that `likeness` compares, uint8 [KEPT_PIXELS, KEPT_PIXELS]: 1.6 KB."""
    grey = Image.fromarray(pixels).convert("L")
    return np.asarray(grey.resize((KEPT_PIXELS, KEPT_PIXELS), Image.Resampling.BOX))


def likeness(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """How well the middle of one image is found in the other, at any place and near any size.

    The largest normalised cross-correlation of grey pixels (J. Lewis, "Fast Normalized
    Cross-Correlation", 1995), -1..1, with either image's middle as the template. It does not see
    frames, captions, cut edges and stamps beside the middle.

    Args:
        one: of `shown`; so is `other`.
    """
    return max(_found_in(one, other), _found_in(other, one))


def _found_in(template: npt.NDArray[np.uint8], image: npt.NDArray[np.uint8]) -> float:
    edge = (GREY_PIXELS - MIDDLE_PIXELS) // 2
    inner = slice(edge, edge + MIDDLE_PIXELS)
    wanted = _unit(_scaled(template, GREY_PIXELS)[inner, inner].reshape(1, -1))[0]
    best = -1.0
    for scale in SCALES:
        scaled = _scaled(image, round(GREY_PIXELS * scale))
        windows = np.lib.stride_tricks.sliding_window_view(scaled, (MIDDLE_PIXELS,) * 2)
        best = max(best, float((_unit(windows.reshape(-1, wanted.size)) @ wanted).max()))
    return best


def _scaled(grey: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.float32]:
    resized = Image.fromarray(grey).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.float32)


def _unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Centred rows of length 1; a row of one value stays zero."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    units: npt.NDArray[np.float32] = centred / np.maximum(lengths, 1e-3)
    return units
