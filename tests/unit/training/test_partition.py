"""Copies of a photo are all trained on or all judged, never split between the two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data.dataset import LabelledImage, file_sha256
from training.data.looks import FILE_NAME, first_alike, looks_of
from training.data.partition import Partition, cross_validation, partition, torn_apart
from training.errors import TrainingError


def many(classes: int, each: int, split: str | None = None) -> list[LabelledImage]:
    return [
        LabelledImage(Path(f"{label}/{number}.jpg"), label, split)
        for label in range(classes)
        for number in range(each)
    ]


# Photos 0 to 3 are one, and so are 4 and 5.
ALIKE = (0, 0, 0, 0, 4, 4, *range(6, 40))


@pytest.mark.parametrize("seed", range(5))
def test_copies_stay_together_in_folds_and_in_the_own_split(seed: int) -> None:
    images = many(2, 20)
    splits, everything = cross_validation(images, 4, seed, ALIKE)
    for parts in [*splits, partition(images, seed, ALIKE)]:
        assert torn_apart(parts, ALIKE) == ()
        assert sorted(parts.train + parts.valid) == list(range(40))
    assert sorted(place for parts in splits for place in parts.valid) == list(range(40))
    assert everything.train == tuple(range(40))


def test_without_copies_a_seed_gives_the_parts_that_it_always_gave() -> None:
    images = many(3, 10)
    different = tuple(range(30))
    assert partition(images, 7, different) == partition(images, 7)
    assert cross_validation(images, 4, 7, different) == cross_validation(images, 4, 7)


def test_copies_count_as_one_photo_of_their_class() -> None:
    with pytest.raises(TrainingError, match="only 2 different photos"):
        cross_validation(many(2, 4), 3, 1, (0, 0, 0, 3, 4, 5, 6, 7))


def test_copies_across_the_data_sets_own_parts_are_found() -> None:
    images = [*many(2, 2, "train"), *many(2, 2, "valid"), *many(1, 1, "test")]
    parts = partition(images, 1, (0, 1, 2, 3, 1, 5, 6, 7, 0))
    assert parts == Partition((0, 1, 2, 3), (4, 5, 6, 7))
    assert torn_apart(parts, (0, 1, 2, 3, 1, 5, 6, 7, 0)) == (4,)


def test_copy_of_a_test_photo_does_not_take_its_place_among_the_rest() -> None:
    """The first that looks the same may be in the part test, which is not split."""
    images = [*many(1, 1, "test"), *many(2, 10, "train")]
    alike = (0, 0, 0, *range(3, 21))
    parts = partition(images, 1, alike)
    assert sorted(parts.train + parts.valid) == list(range(1, 21))
    assert torn_apart(parts, alike) == ()


@pytest.fixture
def photos(tmp_path: Path) -> list[LabelledImage]:
    """Three photos, the second a smaller JPEG of the first."""
    generator = np.random.default_rng(3)
    first, other = (
        Image.fromarray(generator.integers(0, 255, (8, 8, 3), np.uint8)).resize((96, 96))
        for _ in range(2)
    )
    first.save(tmp_path / "0.png")
    first.resize((64, 64)).save(tmp_path / "1.jpg", quality=60)
    other.save(tmp_path / "2.png")
    return [LabelledImage(path, 0, None) for path in sorted(tmp_path.iterdir())]


Looks = Callable[[], tuple[int | None, ...]]


@pytest.fixture
def look(photos: list[LabelledImage], tmp_path: Path) -> Looks:
    digests = [file_sha256(each.path) for each in photos]
    return lambda: looks_of(photos, digests, tmp_path / "cache")


def test_a_smaller_copy_looks_the_same(photos: list[LabelledImage], look: Looks) -> None:
    assert first_alike([each.path.name for each in photos], look()) == (0, 0, 2)


def test_same_bytes_are_the_same_even_where_pixels_cannot_be_had() -> None:
    assert first_alike(("a", "b", "a", "c"), (None, 5, None, None)) == (0, 1, 0, 3)


def test_looks_are_kept_by_content_and_read_again(
    photos: list[LabelledImage], look: Looks, tmp_path: Path
) -> None:
    first = look()
    for each in photos:
        each.path.unlink()
    assert look() == first
    kept = tmp_path / "cache" / FILE_NAME
    # A line that was cut off, and one of somebody else.
    kept.write_text(kept.read_text() + "\nab12\nhello\n")
    assert look() == first


def test_line_that_was_cut_off_costs_one_photo(
    photos: list[LabelledImage], look: Looks, tmp_path: Path
) -> None:
    first = look()
    kept = tmp_path / "cache" / FILE_NAME
    kept.write_text(kept.read_text()[:-5])
    for each in photos[:2]:
        each.path.unlink()
    assert look() == first
