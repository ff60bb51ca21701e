"""Finds duplicate photos: of the same bytes, or of nearly the same pixels.

Pixels are compared by the 64-bit perceptual hash ("pHash") of C. Zauner, "Implementation and
Benchmarking of Perceptual Image Hash Functions" (2010), section 3.2.1: the lowest frequencies of
the cosine transform of 32x32 grey pixels, each above or below their median. The hash is taken from
the prepared pixels, so the format, size, orientation and quality of a file do not matter, as they
do not matter to a model. It does not find mirrored photos or other crops.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

Hashes = npt.NDArray[np.uint64]

GREY_SIZE, LOW_FREQUENCIES = 32, 8
# Of 64 bits. Of the 20,100 pairs of 201 photos of dogs and other things, no two different photos
# were nearer than 14; a photo as a JPEG of quality 30, as WebP or halved stayed within 2; with
# 5 % cut off each side it is up to 18 away, which is not found (docs/decisions/training.md).
NEAR_BITS = 6
_COMPARED_AT_ONCE = 1 << 20  # 8 MB of differences, however many hashes there are


def perceptual_hash(pixels: npt.NDArray[np.uint8]) -> int:
    """The 64-bit hash of an image, uint8 ``[height, width, 3]``."""
    grey = Image.fromarray(pixels).convert("L")
    small = np.asarray(grey.resize((GREY_SIZE, GREY_SIZE), Image.Resampling.BOX), np.float64)
    basis = _cosines()
    low = (basis @ small @ basis.T).ravel()
    # The first value is the mean brightness; the median leaves it out.
    bits = low > np.median(low[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_pairs(hashes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Finds the pairs of indices whose hashes differ in at most NEAR_BITS bits.

    It misses none (bench/duplicates.py measures the time). Of 64 bits in NEAR_BITS + 1 parts, two
    such hashes have one part in common, so only hashes that share a part are compared: M. Norouzi,
    A. Punjani and D. Fleet, "Fast Search in Hamming Space with Multi-Index Hashing" (CVPR 2012).
    Equal hashes are paired with the first of them only: 5,000 equal photos are 4,999 pairs instead
    of 12 million, and `groups` gives the same result.
    """
    yield from equal_pairs(hashes)
    distinct, places = np.unique(np.array(hashes, np.uint64), return_index=True)
    for one, other in _near(distinct):
        first, second = sorted((int(places[one]), int(places[other])))
        yield first, second


def _near(distinct: Hashes) -> Iterator[tuple[int, int]]:
    """Finds each pair of indices once: in the first part that the two hashes have in common."""
    edges = [64 * number // (NEAR_BITS + 1) for number in range(NEAR_BITS + 2)]
    masks = [np.uint64(((1 << (high - low)) - 1) << low) for low, high in itertools.pairwise(edges)]
    for number, mask in enumerate(masks):
        parts = distinct & mask
        order = np.argsort(parts, kind="stable")
        sharing = np.split(order, np.nonzero(np.diff(parts[order]))[0] + 1)
        for members in sharing:
            for one, other in _near_within(distinct[members]):
                difference = distinct[members[one]] ^ distinct[members[other]]
                if all(difference & earlier for earlier in masks[:number]):
                    yield int(members[one]), int(members[other])


def _near_within(hashes: Hashes) -> Iterator[tuple[int, int]]:
    """Compares all hashes with each other."""
    rows = max(1, _COMPARED_AT_ONCE // max(1, len(hashes)))
    for start in range(0, len(hashes) - 1, rows):
        differing = np.bitwise_count(hashes[start : start + rows, None] ^ hashes[None, start:])
        near = differing <= NEAR_BITS
        for row, column in np.argwhere(np.triu(near, k=1)):
            yield start + int(row), start + int(column)


def groups(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Merges pairs that share an index; each group is sorted, groups are ordered by their first."""
    leader: dict[int, int] = {}

    def lead(place: int) -> int:
        while leader.setdefault(place, place) != place:
            leader[place] = place = leader[leader[place]]
        return place

    for first, second in pairs:
        one, other = sorted((lead(first), lead(second)))
        leader[other] = one
    members: dict[int, list[int]] = defaultdict(list)
    for place in sorted(leader):
        members[lead(place)].append(place)
    return [tuple(each) for each in members.values()]


def equal_pairs(digests: Sequence[Hashable]) -> Iterator[tuple[int, int]]:
    """Pairs each index with the first index of the same digest."""
    first: dict[Hashable, int] = {}
    for place, digest in enumerate(digests):
        if (seen := first.setdefault(digest, place)) != place:
            yield seen, place


def _cosines() -> npt.NDArray[np.float64]:
    """The lowest rows of the cosine transform (DCT-II), float64 ``[8, 32]``, not normalised."""
    frequency = np.arange(LOW_FREQUENCIES)[:, None]
    place = np.arange(GREY_SIZE)[None, :]
    cosines: npt.NDArray[np.float64] = np.cos(np.pi * frequency * (2 * place + 1) / (2 * GREY_SIZE))
    return cosines
