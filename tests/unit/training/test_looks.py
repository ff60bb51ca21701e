"""Edited copies among photos whose features are there are found once, and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.training.edits import EDITS, detailed
from tests.unit.training.patterns import encoded, write
from training.data import looks
from training.data.dataset import DataSet, file_sha256
from training.data.looks import edited_pairs, first_alike

KINDS = ("mirrored", "10 % cut off each side", "framed")


@pytest.fixture
def photos(tmp_path: Path) -> DataSet:
    """Six pictures; three have an edited copy of the same number."""
    for number in range(6):
        write(tmp_path, f"photos/a/{number}.png", encoded(detailed(number)))
        write(tmp_path, f"photos/b/other-{number}.png", encoded(detailed(100 + number)))
    for number, kind in enumerate(KINDS):
        write(tmp_path, f"photos/a/{number}-copy.jpg", EDITS[kind](detailed(number)))
    return DataSet.scan(tmp_path / "photos")


def found_in(data: DataSet, cache: Path) -> set[frozenset[str]]:
    """All are near each other by features, so pixels decide."""
    digests = [file_sha256(each.path) for each in data.images]

    def features() -> npt.NDArray[np.float32]:
        near = np.ones((len(digests), 3), np.float32)
        order = np.argsort([each.path.stem.split("-")[0] for each in data.images])
        near[order, 0] += np.arange(len(digests), dtype=np.float32) / 10
        return near

    pairs = edited_pairs(data.images, digests, features, cache)
    return {frozenset(data.images[place].path.stem for place in pair) for pair in pairs}


def test_edited_copies_are_found_and_no_two_different_pictures(
    photos: DataSet, tmp_path: Path
) -> None:
    expected = {frozenset({f"{number}", f"{number}-copy"}) for number in range(len(KINDS))}
    assert found_in(photos, tmp_path) == expected


def test_what_pixels_said_is_kept_and_no_photo_is_read_again(
    photos: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = found_in(photos, tmp_path)
    with (tmp_path / looks.PAIRS_NAME).open("a") as file:
        file.write("cut o")

    def refuse(*_: object) -> None:
        raise AssertionError("a photo is read again")

    monkeypatch.setattr(looks, "load_pixels", refuse)
    assert found_in(photos, tmp_path) == first


def test_of_many_photos_not_all_pairs_of_features_are_compared(
    photos: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "MAX_COMPARED", 5)
    assert found_in(photos, tmp_path) == set()


def test_edited_copies_stay_together_with_what_looks_like_them() -> None:
    assert first_alike("abcd", (1, 2**60, 1, None), [(1, 2)]) == (0, 0, 0, 3)
