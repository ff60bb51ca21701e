"""Measures the search for photos that look the same, and checks that it misses none.

    python -m bench.duplicates --hashes 100000

Random hashes, with copies at known places that have 0 to 6 bits flipped; and random features, for
the time of comparing them.
"""

from __future__ import annotations

import argparse
import random
import time

import numpy as np

from training.data.copies import POSITIONS, nearest_pairs, turned_pairs
from training.data.duplicates import NEAR_BITS, near_pairs

PLANTED, FEATURES = 1000, 1280


def hashes_with_copies(count: int) -> tuple[list[int], set[tuple[int, int]]]:
    """Returns ``count`` hashes, the last 1,000 copies of the first 1,000, and those pairs."""
    choose = random.Random(1)  # noqa: S311 - the same hashes in every run
    hashes = [choose.getrandbits(64) for _ in range(count - PLANTED)]
    for place in range(PLANTED):
        flipped = choose.sample(range(64), choose.randint(0, NEAR_BITS))
        hashes.append(hashes[place] ^ sum(1 << bit for bit in flipped))
    return hashes, {(place, count - PLANTED + place) for place in range(PLANTED)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hashes", type=int, nargs="+", default=[10_000, 50_000])
    print("hashes    CPU s   found of 1,000   others")
    parser.add_argument("--features", type=int, nargs="+", default=[5_000])
    given = parser.parse_args()
    for count in given.hashes:
        hashes, planted = hashes_with_copies(count)
        before = time.process_time()
        found = set(near_pairs(hashes))
        seconds = time.process_time() - before
        print(f"{count:<9} {seconds:<7.2f} {len(planted & found):<16} {len(found - planted)}")
        assert planted <= found, "a copy was missed"
    for count in given.features:
        print_edited(count)


def print_edited(count: int) -> None:
    """CPU seconds of the comparisons that find edited copies, without one to find."""
    random_ = np.random.default_rng(1)
    features = random_.standard_normal((count, FEATURES), np.float32)
    before = time.process_time()
    near = len(nearest_pairs(features))
    by_features = time.process_time() - before
    hashes = random_.integers(0, 1 << 63, (count, POSITIONS), np.uint64)
    before = time.process_time()
    turned = len(list(turned_pairs(hashes.tolist())))
    by_position = time.process_time() - before
    print(
        f"{count} photos: features {by_features:.1f} CPU-s, eight positions {by_position:.1f} "
        f"CPU-s; {near + turned} pairs"
    )


if __name__ == "__main__":
    main()
