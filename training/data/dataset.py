"""A folder of labelled photos: what is in it, its labels, its parts, its fingerprint."""

from __future__ import annotations

import hashlib
import os
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imaging import DEFAULT_LIMITS, ImageSpec, Rejection, prepare
from training.errors import TrainingError

# The parts of a data set, by the names that folders have for them.
SPLITS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
SYSTEM_FILES = frozenset({"Thumbs.db", "desktop.ini"})
# The course's folders count their breeds: 001.Affenpinscher.
NUMBERED = re.compile(r"^\d+\.(?=.)")


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """A photo, the place of its label in the data set's classes, and its part.

    ``split`` is ``train``, ``valid`` or ``test``; None where the data set has no parts.
    """

    path: Path
    class_index: int
    split: str | None


@dataclass(frozen=True, slots=True)
class DataSet:
    """``class/photo`` or ``train|valid|test/class/photo``; nothing is opened before it is asked.

    ``classes`` are the labels, sorted; ``images`` are in the order of their paths.
    """

    folder: Path
    classes: tuple[str, ...]
    images: tuple[LabelledImage, ...]

    @classmethod
    def scan(cls, folder: Path) -> DataSet:
        """
        Raises:
            TrainingError: there is no such folder, no class in it, one class alone, two folders
                for one label in one part, or a link that leads out of it.
        """
        if not folder.is_dir():
            raise TrainingError(f"There is no folder {folder}.", "Give one that holds class/photo.")
        parts = _parts(folder)
        folders = [(split, each) for split, part in parts for each in _folders(part)]
        classes = tuple(sorted({label_of(each.name) for _, each in folders}))
        if len(classes) < 2:
            raise TrainingError(
                f"{folder} holds {len(classes)} classes; two are the least.",
                "Lay it out as class/photo, or as train/class/photo and valid/class/photo.",
            )
        _no_label_twice(folders)
        places = {label: place for place, label in enumerate(classes)}
        images = [
            LabelledImage(path, places[label_of(each.name)], split)
            for split, each in folders
            for path in _files(each, folder.resolve())
        ]
        return cls(folder, classes, tuple(sorted(images, key=lambda image: image.path)))

    def split(self, name: str) -> tuple[LabelledImage, ...]:
        """The images of one part."""
        return tuple(image for image in self.images if image.split == name)

    def label(self, image: LabelledImage) -> str:
        return self.classes[image.class_index]

    @property
    def manifest_sha256(self) -> str:
        """Changes with a name, a label, a part, or a byte of any image. Reads them all."""
        return self.manifest_of({each.path: file_sha256(each.path) for each in self.images})

    def manifest_of(self, digests: Mapping[Path, str]) -> str:
        """`manifest_sha256` by the images' sha256, 64 hex digits each, for who has read them."""
        manifest = hashlib.sha256()
        for image in self.images:
            name = image.path.relative_to(self.folder).as_posix()
            line = "\0".join((name, digests[image.path], self.label(image), image.split or ""))
            manifest.update(os.fsencode(line) + b"\n")
        return manifest.hexdigest()


def file_sha256(path: Path) -> str:
    """64 hex digits; a file of any length takes no memory to speak of.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_image(path: Path) -> bytes:
    """What `prepare` needs of a file: of a film among the photos, one byte more than is allowed.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return file.read(DEFAULT_LIMITS.max_bytes + 1)


def label_of(folder_name: str) -> str:
    """``001.Affenpinscher`` and ``Affenpinscher`` are ``affenpinscher``."""
    return NUMBERED.sub("", folder_name).lower()


def load_pixels(image: LabelledImage, spec: ImageSpec) -> npt.NDArray[np.uint8] | Rejection:
    """uint8 [size, size, 3], by the very code that prepares images everywhere else.

    Raises:
        OSError: the file cannot be read.
    """
    prepared = prepare(read_image(image.path), spec)
    if isinstance(prepared, Rejection):
        return prepared
    return np.frombuffer(prepared.pixels, np.uint8).reshape(spec.size, spec.size, 3)


def spread(images: Sequence[LabelledImage], count: int) -> tuple[LabelledImage, ...]:
    """So many of them at most, evenly from all over: in a sorted data set, from every class."""
    taken = min(count, len(images))
    return tuple(images[number * len(images) // taken] for number in range(taken))


def stratified_split(
    images: Sequence[LabelledImage], seed: int, shares: Mapping[str, float]
) -> tuple[LabelledImage, ...]:
    """The same images in the same order, each with a part; the shares hold in every class.

    Every class gets an image into each part as long as it has one for each, the parts with the
    larger share first; a part whose share is 0 gets none.

    Args:
        images: what to split.
        seed: the same one gives the same parts.
        shares: part → its share of every class; they add up to 1.

    Raises:
        ValueError: the shares do not add up to 1.
    """
    if abs(sum(shares.values()) - 1) > 1e-9:
        raise ValueError(f"shares that add up to {sum(shares.values())}")
    split_of: dict[int, str] = {}
    for places in _shuffled_classes(images, seed):
        counts = _counts(len(places), shares)
        names = [name for name, count in counts.items() for _ in range(count)]
        split_of.update(zip(places, names, strict=True))
    return tuple(replace(image, split=split_of[place]) for place, image in enumerate(images))


def folds(images: Sequence[LabelledImage], count: int, seed: int) -> tuple[int, ...]:
    """The fold of each image, 0 to ``count - 1``: even over all, and within every class."""
    fold_of = [0] * len(images)
    number = 0
    for places in _shuffled_classes(images, seed):
        for place in places:
            fold_of[place] = number % count
            number += 1
    return tuple(fold_of)


def _parts(folder: Path) -> list[tuple[str | None, Path]]:
    named: list[tuple[str | None, Path]] = [
        (SPLITS[each.name.lower()], each)
        for each in _folders(folder)
        if each.name.lower() in SPLITS
    ]
    return named or [(None, folder)]


def _folders(folder: Path) -> list[Path]:
    found = [each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")]
    return sorted(found)


def _files(folder: Path, root: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or path.name in SYSTEM_FILES or not path.is_file():
            continue
        if not path.resolve().is_relative_to(root):
            raise TrainingError(
                f"{path} is a link that leads out of {root}.", "Copy the file to its place."
            )
        yield path


def _no_label_twice(folders: Sequence[tuple[str | None, Path]]) -> None:
    seen: dict[tuple[str | None, str], Path] = {}
    for split, folder in folders:
        other = seen.setdefault((split, label_of(folder.name)), folder)
        if other is not folder:
            raise TrainingError(
                f"{other.name} and {folder.name} are both {label_of(folder.name)}.",
                "Move their photos into one folder.",
            )


def _shuffled_classes(images: Sequence[LabelledImage], seed: int) -> Iterator[list[int]]:
    """The places of each class's images, in an order that only the seed decides."""
    classes: dict[int, list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        classes[image.class_index].append(place)
    shuffler = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for class_index in sorted(classes):
        shuffler.shuffle(classes[class_index])
        yield classes[class_index]


def _counts(images: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Whole images a part, by the largest remainder, and one at least for as many as there are."""
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
