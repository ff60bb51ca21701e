"""Photos that look the same to a model are found, and no others."""

from __future__ import annotations

import random
import time
from itertools import combinations

import numpy as np
import pytest

from imaging import Prepared, prepare
from tests.unit.training.patterns import encoded, picture
from training.data.check import CHECK_SPEC
from training.data.duplicates import NEAR_BITS, equal_pairs, groups, near_pairs, perceptual_hash


def looks(content: bytes) -> int:
    prepared = prepare(content, CHECK_SPEC)
    assert isinstance(prepared, Prepared)
    return perceptual_hash(np.frombuffer(prepared.pixels, np.uint8).reshape(224, 224, 3))


def distance(one: int, other: int) -> int:
    return (one ^ other).bit_count()


@pytest.mark.parametrize(
    "how",
    [
        {"format": "JPEG", "quality": 30},
        {"format": "WEBP", "quality": 50},
        {"format": "PNG"},
    ],
)
def test_another_encoding_of_a_photo_looks_the_same(how: dict[str, object]) -> None:
    for number in range(8):
        original = looks(encoded(picture(number)))
        assert distance(original, looks(encoded(picture(number), **how))) <= NEAR_BITS


def test_half_the_size_looks_the_same() -> None:
    for number in range(8):
        small = picture(number, (320, 240)).resize((160, 120))
        assert distance(looks(encoded(picture(number, (320, 240)))), looks(encoded(small))) <= 6


def test_different_pictures_do_not_look_the_same() -> None:
    hashes = [looks(encoded(picture(number))) for number in range(40)]
    nearest = min(distance(*pair) for pair in combinations(hashes, 2))
    assert nearest > NEAR_BITS
    assert list(near_pairs(hashes)) == []


def test_every_near_pair_is_found_across_the_blocks_of_the_search() -> None:
    choose = random.Random(1)  # noqa: S311 - repeatable, not secret
    hashes = [choose.getrandbits(64) for _ in range(1300)]
    for first, second, bits in ((0, 1299, 6), (1023, 1024, 1), (5, 6, 0), (7, 8, 7)):
        flipped = sum(1 << place for place in choose.sample(range(64), bits))
        hashes[second] = hashes[first] ^ flipped
    slowly = [
        pair
        for pair in combinations(range(len(hashes)), 2)
        if distance(hashes[pair[0]], hashes[pair[1]]) <= NEAR_BITS
    ]
    assert sorted(near_pairs(hashes)) == slowly
    assert {(0, 1299), (1023, 1024), (5, 6)} <= set(slowly)
    assert (7, 8) not in slowly


@pytest.mark.parametrize("spread", [64, 24, 12])
def test_no_pair_is_missed_or_told_twice_however_alike_the_hashes_are(spread: int) -> None:
    choose = random.Random(spread)  # noqa: S311 - repeatable, not secret
    # Bits anywhere, of which few differ between hashes: many share several parts.
    places = choose.sample(range(64), spread)
    hashes = [sum(choose.getrandbits(1) << place for place in places) for _ in range(400)]
    for place in range(0, 200, 2):
        flipped = choose.sample(range(64), place % 10)
        hashes[place + 1] = hashes[place] ^ sum(1 << bit for bit in flipped)
    first = {each: hashes.index(each) for each in hashes}
    near = {
        (min(first[one], first[other]), max(first[one], first[other]))
        for one, other in combinations(first, 2)
        if distance(one, other) <= NEAR_BITS
    }
    found = list(near_pairs(hashes))
    assert len(found) == len(set(found))
    assert set(found) == near | set(equal_pairs(hashes))


def test_a_hundred_thousand_photos_take_a_second_or_two() -> None:
    choose = random.Random(1)  # noqa: S311 - repeatable, not secret
    hashes = [choose.getrandbits(64) for _ in range(100_000)]
    began = time.process_time()
    assert list(near_pairs(hashes)) == []
    assert time.process_time() - began < 6  # 0.6 s; 17 s where each is compared with all


def test_photo_that_is_there_5000_times_does_not_fill_the_memory() -> None:
    hashes = [7] * 5000 + [6, (1 << 64) - 1]
    pairs = list(near_pairs(hashes))
    assert len(pairs) == 5000
    assert groups(pairs) == [tuple(range(5001))]


def test_what_hangs_together_by_pairs_is_one_group() -> None:
    assert groups([(4, 2), (0, 9), (9, 4), (5, 6)]) == [(0, 2, 4, 9), (5, 6)]
    assert groups([]) == []


def test_equal_files_are_paired_with_the_first() -> None:
    assert list(equal_pairs(["a", "b", "a", "a"])) == [(0, 2), (0, 3)]
