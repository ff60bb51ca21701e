"""A folder of labelled photos: its images, labels and parts, and its hash."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imaging import DEFAULT_LIMITS, ImageSpec, Rejection, prepare
from training.data.folders import LeftOut, Reason
from training.data.layout import read_layout
from training.errors import TrainingError


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

    ``classes`` are the labels of the folders that hold photos, sorted in any case; ``images`` are
    sorted by path; ``left_out`` is everything else in the folder. No photo is opened.
    """

    folder: Path
    classes: tuple[str, ...]
    images: tuple[LabelledImage, ...]
    left_out: tuple[LeftOut, ...] = ()

    @classmethod
    def scan(cls, folder: Path) -> DataSet:
        """Lists a folder; `layout` says how folders are read.

        Raises:
            TrainingError: the folder does not exist, has fewer than two classes, can be read in
                two ways, or has a link to a folder or to a file outside.
        """
        if not folder.is_dir():
            problem = f"{folder} is a file" if folder.exists() else f"There is no folder {folder}"
            raise TrainingError(f"{problem}.", "Give a folder that holds class/photo.")
        layout = read_layout(folder)
        labels = {each.label for each in layout.classes}
        classes = tuple(sorted(labels, key=lambda label: (label.lower(), label)))
        places = {label: place for place, label in enumerate(classes)}
        images = [
            LabelledImage(path, places[each.label], each.part)
            for each in layout.classes
            for path in each.photos
        ]
        images.sort(key=lambda image: image.path)
        return cls(folder, classes, tuple(images), layout.left_out)

    def split(self, name: str) -> tuple[LabelledImage, ...]:
        """The images of one part."""
        return tuple(image for image in self.images if image.split == name)

    def label(self, image: LabelledImage) -> str:
        return self.classes[image.class_index]

    def name_of(self, image: LabelledImage) -> str:
        """Returns the path of a photo within the folder, with `/`."""
        return image.path.relative_to(self.folder).as_posix()

    @property
    def is_complete(self) -> bool:
        """Whether no photo can be among the files left out."""
        return not any(each.is_problem for each in self.left_out)

    def read(self) -> tuple[DataSet, dict[Path, str]]:
        """Reads every file, one thread a core: the files that can be read, and their hashes.

        Returns the data set without the others, which are then left out, and the sha256 of each
        image's bytes, 64 hex digits.
        """
        paths = [each.path for each in self.images]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = dict(zip(paths, pool.map(_sha256_if_readable, paths), strict=True))
        digests = {path: digest for path, digest in found.items() if digest is not None}
        return self.without_unreadable(found.keys() - digests.keys()), digests

    def without_unreadable(self, paths: Collection[Path]) -> DataSet:
        """The data set with these photos left out, because they cannot be read."""
        if not paths:
            return self
        left_out = [LeftOut(path, Reason.UNREADABLE_FILE) for path in sorted(paths)]
        images = tuple(each for each in self.images if each.path not in paths)
        return replace(self, images=images, left_out=(*self.left_out, *left_out))

    @property
    def manifest_sha256(self) -> str:
        """`manifest_of` the files that can be read; reads every file."""
        data, digests = self.read()
        return data.manifest_of(digests)

    def manifest_of(self, digests: Mapping[Path, str]) -> str:
        """Hashes the names, labels, parts and bytes of all images.

        Args:
            digests: sha256 of the files, 64 hex digits each.
        """
        manifest = hashlib.sha256()
        for image in self.images:
            # In lower case as in 0.2, so that its models and checkpoints know their photos again.
            label = self.label(image).lower()
            line = "\0".join((self.name_of(image), digests[image.path], label, image.split or ""))
            manifest.update(os.fsencode(line) + b"\n")
        return manifest.hexdigest()


def file_sha256(path: Path) -> str:
    """Hashes a file in constant memory; returns 64 hex digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_if_readable(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except OSError:
        return None


def read_image(path: Path) -> bytes:
    """Reads a file for `prepare`: at most one byte more than its limit, however large it is.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return file.read(DEFAULT_LIMITS.max_bytes + 1)


def load_pixels(image: LabelledImage, spec: ImageSpec) -> npt.NDArray[np.uint8] | Rejection:
    """Prepares a photo as everywhere else; returns uint8 [size, size, 3].

    Raises:
        OSError: the file cannot be read.
    """
    return pixels_of(read_image(image.path), spec)


def pixels_of(content: bytes, spec: ImageSpec) -> npt.NDArray[np.uint8] | Rejection:
    """Prepares the content of a file; returns uint8 [size, size, 3]."""
    prepared = prepare(content, spec)
    if isinstance(prepared, Rejection):
        return prepared
    return np.frombuffer(prepared.pixels, np.uint8).reshape(spec.size, spec.size, 3)


def spread(images: Sequence[LabelledImage], count: int) -> tuple[LabelledImage, ...]:
    """Picks at most `count` images at even distances, so from all classes of a sorted data set."""
    taken = min(count, len(images))
    return tuple(images[number * len(images) // taken] for number in range(taken))
