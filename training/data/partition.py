"""Splits images into those to train on and those to measure with."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from training.data.dataset import LabelledImage
from training.errors import TrainingError

TRAIN_SHARE, VALID_SHARE = 0.8, 0.2


@dataclass(frozen=True, slots=True)
class Partition:
    """Indices of a sequence of images; none is in both parts."""

    train: tuple[int, ...]
    valid: tuple[int, ...]


def partition(
    images: Sequence[LabelledImage], seed: int, first_alike: Sequence[int] | None = None
) -> Partition:
    """Takes the parts `train` and `valid`; without a part `valid`, splits 80 and 20 % per class.

    The part `test` is left to the evaluation.

    Args:
        first_alike: for each image the index of the first one that looks the same; a split keeps
            them together and counts them as one. None: all are different.

    Raises:
        TrainingError: there is no image to train on.
    """
    if any(image.split == "valid" for image in images):
        return _checked(Partition(_places(images, "train", None), _places(images, "valid")))
    leader = _leaders(_places(images, "train", None), first_alike)
    leaders = _distinct(leader)
    shares = {"train": TRAIN_SHARE, "valid": VALID_SHARE}
    split = stratified_split([images[place] for place in leaders], seed, shares)
    named = dict(zip(leaders, (image.split for image in split), strict=True))
    return _checked(
        Partition(
            tuple(place for place in leader if named[leader[place]] == "train"),
            tuple(place for place in leader if named[leader[place]] == "valid"),
        )
    )


def cross_validation(
    images: Sequence[LabelledImage],
    count: int,
    seed: int,
    first_alike: Sequence[int] | None = None,
) -> tuple[list[Partition], Partition]:
    """Makes `count` partitions with each image once in `valid`, and one with all for training.

    The part `test` is left to the evaluation.

    Args:
        first_alike: as for `partition`.

    Raises:
        TrainingError: there is no image to train on, or a class has fewer images than folds.
    """
    places = _places(images, "train", "valid", None)
    leaders = _distinct(_leaders(places, first_alike))
    _refuse_more_folds_than_images([images[place] for place in leaders], count)
    return fold_partitions(images, places, count, seed, first_alike), Partition(places, ())


def fold_partitions(
    images: Sequence[LabelledImage],
    places: Sequence[int],
    count: int,
    seed: int,
    first_alike: Sequence[int] | None,
) -> list[Partition]:
    """Makes `count` partitions of these places, with each of them once in `valid`.

    A class with fewer images than folds is not in every fold.

    Raises:
        TrainingError: there is no image to train on.
    """
    leader = _leaders(places, first_alike)
    leaders = _distinct(leader)
    numbers = folds([images[place] for place in leaders], count, seed)
    fold_of = dict(zip(leaders, numbers, strict=True))
    return [
        _checked(
            Partition(
                tuple(place for place in leader if fold_of[leader[place]] != fold),
                tuple(place for place in leader if fold_of[leader[place]] == fold),
            )
        )
        for fold in range(count)
    ]


def torn_apart(parts: Partition, first_alike: Sequence[int]) -> tuple[int, ...]:
    """The validation images that look the same as one to learn from."""
    learnt = {first_alike[place] for place in parts.train}
    return tuple(place for place in parts.valid if first_alike[place] in learnt)


def _leaders(places: Sequence[int], first_alike: Sequence[int] | None) -> dict[int, int]:
    """Each place → the first of these places that looks the same."""
    if first_alike is None:
        return {place: place for place in places}
    first: dict[int, int] = {}
    return {place: first.setdefault(first_alike[place], place) for place in places}


def _distinct(leader: Mapping[int, int]) -> list[int]:
    return [place for place, first in leader.items() if place == first]


def stratified_split(
    images: Sequence[LabelledImage], seed: int, shares: Mapping[str, float]
) -> tuple[LabelledImage, ...]:
    """Assigns a part to each image, in the shares given, within every class.

    A class with fewer images than parts fills the parts of the largest shares; a class with enough
    images has one in every part with a share above 0.

    Args:
        seed: the same seed gives the same parts.
        shares: part → its share of every class; they add up to 1.

    Returns:
        The same images in the same order.

    Raises:
        ValueError: the shares do not add up to 1.
    """
    if abs(sum(shares.values()) - 1) > 1e-9:
        raise ValueError(f"shares add up to {sum(shares.values())}")
    split_of: dict[int, str] = {}
    for places in _shuffled_classes(images, seed):
        counts = _counts(len(places), shares)
        names = [name for name, count in counts.items() for _ in range(count)]
        split_of.update(zip(places, names, strict=True))
    return tuple(replace(image, split=split_of[place]) for place, image in enumerate(images))


def folds(images: Sequence[LabelledImage], count: int, seed: int) -> tuple[int, ...]:
    """Assigns a fold, 0 to ``count - 1``, to each image, evenly overall and within every class."""
    fold_of = [0] * len(images)
    number = 0
    for places in _shuffled_classes(images, seed):
        for place in places:
            fold_of[place] = number % count
            number += 1
    return tuple(fold_of)


def _places(images: Sequence[LabelledImage], *splits: str | None) -> tuple[int, ...]:
    return tuple(place for place, image in enumerate(images) if image.split in splits)


def _checked(parts: Partition) -> Partition:
    if not parts.train:
        raise TrainingError("There is no image to train on.", "See `imagedrop data check FOLDER`.")
    return parts


def _refuse_more_folds_than_images(images: Sequence[LabelledImage], count: int) -> None:
    sizes = Counter(image.class_index for image in images)
    if sizes and min(sizes.values()) < count:
        smallest = min(sizes, key=lambda each: sizes[each])
        folder = next(each.path.parent for each in images if each.class_index == smallest)
        raise TrainingError(
            f"{folder} has only {sizes[smallest]} different photos to train on, fewer than "
            f"the {count} folds.",
            f"Use at most --folds {sizes[smallest]}, or add photos."
            if sizes[smallest] > 1
            else "Train without --folds, or add photos.",
        )


def _shuffled_classes(images: Sequence[LabelledImage], seed: int) -> Iterator[list[int]]:
    """The indices of each class's images, shuffled by the seed alone."""
    classes: dict[int, list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        classes[image.class_index].append(place)
    shuffler = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for class_index in sorted(classes):
        shuffler.shuffle(classes[class_index])
        yield classes[class_index]


def _counts(images: int, shares: Mapping[str, float]) -> dict[str, int]:
    """The number of images of each part, by the largest remainder, at least one where possible."""
    parts = sorted((name for name in shares if shares[name]), key=lambda name: -shares[name])
    counts = {name: int(images * shares[name]) for name in parts}
    remainders = sorted(parts, key=lambda name: -(images * shares[name] - counts[name]))
    for name in remainders[: images - sum(counts.values())]:
        counts[name] += 1
    for name in parts[:images]:
        if counts[name] == 0:
            counts[max(counts, key=lambda each: counts[each])] -= 1
            counts[name] = 1
    return counts
