"""Which images a training learns from, and which it is measured with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.data.dataset import LabelledImage, folds, stratified_split
from training.errors import TrainingError

TRAIN_SHARE, VALID_SHARE = 0.8, 0.2


@dataclass(frozen=True, slots=True)
class Partition:
    """Places in a sequence of images; no place in both, none twice."""

    train: tuple[int, ...]
    valid: tuple[int, ...]


def partition(images: Sequence[LabelledImage], seed: int) -> Partition:
    """The data set's own parts `train` and `valid`; where it has none, 80 and 20 % of each class.

    The part `test` is never touched: it is for the evaluation.

    Raises:
        TrainingError: nothing to train on.
    """
    has_valid = any(image.split == "valid" for image in images)
    places = _places(images, "train", None)
    if not has_valid:
        shares = {"train": TRAIN_SHARE, "valid": VALID_SHARE}
        split = stratified_split([images[place] for place in places], seed, shares)
        named = dict(zip(places, (image.split for image in split), strict=True))
        return _checked(
            Partition(
                tuple(place for place in places if named[place] == "train"),
                tuple(place for place in places if named[place] == "valid"),
            )
        )
    return _checked(Partition(places, _places(images, "valid")))


def cross_validation(
    images: Sequence[LabelledImage], count: int, seed: int
) -> tuple[list[Partition], Partition]:
    """`count` partitions, each image once in `valid`; and all of it for the final training.

    All but the part `test`.

    Raises:
        TrainingError: nothing to train on.
    """
    places = _places(images, "train", "valid", None)
    fold_of = dict(
        zip(places, folds([images[place] for place in places], count, seed), strict=True)
    )
    partitions = [
        _checked(
            Partition(
                tuple(place for place in places if fold_of[place] != fold),
                tuple(place for place in places if fold_of[place] == fold),
            )
        )
        for fold in range(count)
    ]
    return partitions, Partition(places, ())


def _places(images: Sequence[LabelledImage], *splits: str | None) -> tuple[int, ...]:
    return tuple(place for place, image in enumerate(images) if image.split in splits)


def _checked(parts: Partition) -> Partition:
    if not parts.train:
        raise TrainingError("There is no image to train on.", "See `imagedrop data check FOLDER`.")
    return parts
