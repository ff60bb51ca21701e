"""Checks a data set for what would spoil a training or its metrics."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from imaging import ImageSpec, Rejection, prepare
from training.data.dataset import DataSet, LabelledImage, file_sha256, read_image
from training.data.duplicates import equal_pairs, groups, near_pairs, perceptual_hash

# How the check prepares photos. Both backbones take 224 pixels; which files are rejected and which
# look alike hardly depends on it.
CHECK_SPEC = ImageSpec(
    size=224,
    resize=256,
    crop="center",
    interpolation="bicubic",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    layout="NHWC",
)


UNREADABLE = "unreadable"  # the reason of a file that the disk does not give


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that trainings leave out, and the reason by `imaging`, or `unreadable`."""

    image: LabelledImage
    reason: str


@dataclass(frozen=True, slots=True)
class Alike:
    """Photos that look the same to a model."""

    images: tuple[LabelledImage, ...]
    is_same_file: bool  # byte for byte

    @property
    def is_leak(self) -> bool:
        """Whether they are in several parts, so a model is measured on photos it was trained on."""
        return len({each.split for each in self.images}) > 1

    @property
    def is_conflict(self) -> bool:
        """Whether they have several labels."""
        return len({each.class_index for each in self.images}) > 1


@dataclass(frozen=True, slots=True)
class DataCheck:
    """The findings; ``images`` are the photos that can be trained on."""

    data: DataSet
    images: tuple[LabelledImage, ...]
    rejected: tuple[Rejected, ...]
    alike: tuple[Alike, ...]
    manifest_sha256: str

    @property
    def leaks(self) -> tuple[Alike, ...]:
        return tuple(each for each in self.alike if each.is_leak)

    @property
    def conflicts(self) -> tuple[Alike, ...]:
        return tuple(each for each in self.alike if each.is_conflict)

    @property
    def counts(self) -> dict[str, Counter[str]]:
        """The number of usable photos by part and label; without parts the part is `all`."""
        found: dict[str, Counter[str]] = {part: Counter() for part in ("train", "valid", "test")}
        for image in self.images:
            part = found.setdefault(image.split or "all", Counter())
            part[self.data.label(image)] += 1
        return {part: labels for part, labels in found.items() if labels}

    @property
    def without_photos(self) -> tuple[str, ...]:
        """The labels of which no photo can be used."""
        usable = {image.class_index for image in self.images}
        return tuple(label for place, label in enumerate(self.data.classes) if place not in usable)

    @property
    def not_in_train(self) -> tuple[str, ...]:
        """The labels with photos in other parts alone, where there is a part train."""
        trained = {image.class_index for image in self.images if image.split == "train"}
        others = {image.class_index for image in self.images} - trained if trained else set()
        return tuple(self.data.classes[place] for place in sorted(others))

    @property
    def is_trustworthy(self) -> bool:
        """Returns whether all photos count, each in one part and with one label."""
        untrained = self.without_photos or self.not_in_train or not self.images
        spoilt = self.leaks or self.conflicts or untrained
        unread = any(each.reason == UNREADABLE for each in self.rejected)
        return not (spoilt or unread or any(each.is_problem for each in self.data.left_out))

    def name_of(self, image: LabelledImage) -> str:
        return image.path.relative_to(self.data.folder).as_posix()

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "manifest_sha256": self.manifest_sha256,
            "classes": len(self.data.classes),
            "images": {part: sum(labels.values()) for part, labels in self.counts.items()},
            "labels": {part: dict(sorted(each.items())) for part, each in self.counts.items()},
            "left_out": [
                {"file": each.path.relative_to(self.data.folder).as_posix(), "reason": each.reason}
                for each in self.data.left_out
            ],
            "rejected": [
                {"file": self.name_of(each.image), "reason": each.reason} for each in self.rejected
            ],
            "alike": [
                {
                    "files": [self.name_of(image) for image in each.images],
                    "same_file": each.is_same_file,
                    "across_parts": each.is_leak,
                    "across_labels": each.is_conflict,
                }
                for each in self.alike
            ],
        }


def check(data: DataSet, on_image: Callable[[], None]) -> DataCheck:
    """Reads, prepares and hashes every file, one thread per core; keeps no pixels.

    A file that cannot be read is rejected, and counts in the fingerprint without its bytes.

    Args:
        on_image: called after each file.
    """

    def look(image: LabelledImage) -> tuple[str, int | str]:
        try:
            digest = file_sha256(image.path)
            prepared = prepare(read_image(image.path), CHECK_SPEC)
        except OSError:
            return "", UNREADABLE
        finally:
            on_image()
        if isinstance(prepared, Rejection):
            return digest, prepared.reason
        pixels = np.frombuffer(prepared.pixels, np.uint8)
        return digest, perceptual_hash(pixels.reshape(CHECK_SPEC.size, CHECK_SPEC.size, 3))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        seen = list(zip(data.images, pool.map(look, data.images), strict=True))
    usable = [(image, digest, looks) for image, (digest, looks) in seen if isinstance(looks, int)]
    return DataCheck(
        data=data,
        images=tuple(image for image, _, _ in usable),
        rejected=tuple(
            Rejected(image, looks) for image, (_, looks) in seen if isinstance(looks, str)
        ),
        alike=tuple(_alike(usable)),
        manifest_sha256=data.manifest_of({image.path: digest for image, (digest, _) in seen}),
    )


def _alike(usable: list[tuple[LabelledImage, str, int]]) -> Iterator[Alike]:
    digests = [digest for _, digest, _ in usable]
    for members in groups(
        chain(equal_pairs(digests), near_pairs([looks for _, _, looks in usable]))
    ):
        images = tuple(usable[place][0] for place in members)
        yield Alike(images, is_same_file=len({digests[place] for place in members}) == 1)


def largest_to_smallest(labels: Mapping[str, int]) -> float:
    """The size of the largest class divided by that of the smallest."""
    return max(labels.values(), default=0) / max(1, min(labels.values(), default=1))
