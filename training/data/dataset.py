"""A folder of labelled photos: its images, labels and parts, and its hash."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imaging import DEFAULT_LIMITS, ImageSpec, Rejection, prepare
from training.errors import TrainingError

# Folder name → part of a data set.
SPLITS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
SYSTEM_FILES = frozenset({"Thumbs.db", "desktop.ini"})
# The course numbers its folders: 001.Affenpinscher.
NUMBERED = re.compile(r"^\d+\.(?=.)")


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """A photo, the index of its label in the data set's classes, and its part.

    ``split`` is ``train``, ``valid`` or ``test``; None where the data set has no parts.
    """

    path: Path
    class_index: int
    split: str | None


@dataclass(frozen=True, slots=True)
class DataSet:
    """A folder laid out as ``class/photo`` or ``train|valid|test/class/photo``.

    ``classes`` are the labels, sorted; ``images`` are sorted by path. No photo is opened.
    """

    folder: Path
    classes: tuple[str, ...]
    images: tuple[LabelledImage, ...]

    @classmethod
    def scan(cls, folder: Path) -> DataSet:
        """Lists a folder.

        Raises:
            TrainingError: the folder does not exist, has fewer than two classes, has two folders
                for one label in one part, or has a link to a file outside.
        """
        if not folder.is_dir():
            raise TrainingError(f"There is no folder {folder}.", "Give one that holds class/photo.")
        parts = _parts(folder)
        folders = [(split, each) for split, part in parts for each in _folders(part)]
        classes = tuple(sorted({label_of(each.name) for _, each in folders}))
        if len(classes) < 2:
            raise TrainingError(
                f"{folder} holds {len(classes)} classes; at least two are needed.",
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
        """Hashes the names, labels, parts and bytes of all images; reads every file."""
        return self.manifest_of({each.path: file_sha256(each.path) for each in self.images})

    def manifest_of(self, digests: Mapping[Path, str]) -> str:
        """`manifest_sha256` from known hashes of the files, 64 hex digits each."""
        manifest = hashlib.sha256()
        for image in self.images:
            name = image.path.relative_to(self.folder).as_posix()
            line = "\0".join((name, digests[image.path], self.label(image), image.split or ""))
            manifest.update(os.fsencode(line) + b"\n")
        return manifest.hexdigest()


def file_sha256(path: Path) -> str:
    """Hashes a file in constant memory; returns 64 hex digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_image(path: Path) -> bytes:
    """Reads a file for `prepare`: at most one byte more than its limit, however large it is.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return file.read(DEFAULT_LIMITS.max_bytes + 1)


def label_of(folder_name: str) -> str:
    """The label of a folder: ``001.Affenpinscher`` and ``Affenpinscher`` are ``affenpinscher``."""
    return NUMBERED.sub("", folder_name).lower()


def load_pixels(image: LabelledImage, spec: ImageSpec) -> npt.NDArray[np.uint8] | Rejection:
    """Prepares a photo as everywhere else; returns uint8 [size, size, 3].

    Raises:
        OSError: the file cannot be read.
    """
    prepared = prepare(read_image(image.path), spec)
    if isinstance(prepared, Rejection):
        return prepared
    return np.frombuffer(prepared.pixels, np.uint8).reshape(spec.size, spec.size, 3)


def spread(images: Sequence[LabelledImage], count: int) -> tuple[LabelledImage, ...]:
    """Picks at most `count` images at even distances, so from all classes of a sorted data set."""
    taken = min(count, len(images))
    return tuple(images[number * len(images) // taken] for number in range(taken))


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
                f"{path} links to a file outside {root}.", "Copy the file into the folder."
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
