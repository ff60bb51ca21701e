"""Edited copies are found, and photos that are merely of one kind are not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from imaging import Prepared, prepare
from tests.unit.training.edits import EDITS, detailed
from tests.unit.training.patterns import encoded
from training.data.check import CHECK_SPEC
from training.data.copies import (
    SAME_LIKENESS,
    likeness,
    nearest_pairs,
    positions,
    shown,
    turned_pairs,
)

BY_POSITION = ("mirrored", "on its side", "upside down")
BY_MIDDLE = (
    *("framed", "stamped", "captioned", "padded to a square", "10 % cut off each side"),
    "10 % cut off one side",
)


def pixels(content: bytes) -> npt.NDArray[np.uint8]:
    prepared = prepare(content, CHECK_SPEC)
    assert isinstance(prepared, Prepared)
    return np.frombuffer(prepared.pixels, np.uint8).reshape(224, 224, 3)


ORIGINALS = [pixels(encoded(detailed(number))) for number in range(8)]


@pytest.mark.parametrize("edit", BY_POSITION)
def test_turned_and_mirrored_copies_are_paired(edit: str) -> None:
    copies = [pixels(EDITS[edit](detailed(number))) for number in range(8)]

    found = set(turned_pairs([positions(each) for each in (*ORIGINALS, *copies)]))

    assert found == {(number, number + 8) for number in range(8)}


@pytest.mark.parametrize("edit", BY_MIDDLE)
def test_middle_of_an_edited_copy_is_found(edit: str) -> None:
    for number, original in enumerate(ORIGINALS):
        copy = shown(pixels(EDITS[edit](detailed(number))))
        other = shown(ORIGINALS[number - 1])
        assert likeness(shown(original), copy) >= SAME_LIKENESS > likeness(other, copy)


def test_image_of_one_colour_is_like_nothing() -> None:
    flat = np.full((40, 40), 9, np.uint8)

    assert likeness(flat, shown(ORIGINALS[0])) < SAME_LIKENESS
    assert likeness(flat, flat) < SAME_LIKENESS


@pytest.mark.parametrize("nearest", [1, 3, 40])
def test_blocks_miss_none_of_the_nearest(monkeypatch: pytest.MonkeyPatch, nearest: int) -> None:
    monkeypatch.setattr("training.data.copies._ROWS_AT_ONCE", 7)
    features = np.random.default_rng(1).standard_normal((30, 5), np.float32)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = units @ units.T
    np.fill_diagonal(cosines, -2)
    expected = {
        (min(one, other), max(one, other))
        for one in range(30)
        for other in np.argsort(-cosines[one])[:nearest].tolist()
        if cosines[one, other] >= 0.5
    }

    found = nearest_pairs(features, 0.5, nearest)

    assert set(found) == expected
    assert len(found) == len(expected)


def test_only_the_nearest_are_compared_by_pixels() -> None:
    """All photos of a class may be near each other; two each are enough to find copies."""
    features = np.ones((40, 3), np.float32)
    features[:, 0] += np.arange(40, dtype=np.float32) / 100

    assert len(nearest_pairs(features, 0.75, nearest=39)) == 40 * 39 / 2
    assert len(nearest_pairs(features, 0.75, nearest=2)) <= 80
    assert (0, 1) in nearest_pairs(features, 0.75, nearest=2)
