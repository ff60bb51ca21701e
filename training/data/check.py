"""Checks a data set for faults that would spoil a training or its metrics."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imaging import ImageSpec, Rejection
from training.data.copies import (
    SAME_LIKENESS,
    Appearance,
    likeness,
    nearest_pairs,
    turned_pairs,
)
from training.data.dataset import DataSet, LabelledImage, file_sha256, load_pixels
from training.data.doubtful import Doubtful, doubtful_labels, out_of_fold_probabilities
from training.data.duplicates import equal_pairs, groups
from training.data.feature_pass import Compute, stored_rows

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


# Fewer photos are not enough to learn their labels.
LEAST_PHOTOS = 10
UNREADABLE = "unreadable"  # the reason for a file that cannot be read


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
class DoubtfulLabel:
    """A photo that another label fits better, by a regression that was not fitted on it."""

    image: LabelledImage
    confidence: float
    """0..1, of its own label."""
    suggested: str
    suggested_confidence: float
    is_confident: bool
    """Whether confident learning takes the label for an error."""

    @classmethod
    def of(cls, found: Doubtful, image: LabelledImage, labels: Sequence[str]) -> DoubtfulLabel:
        """Describes the finding for a photo; `labels` are in the order of the answers."""
        suggested = labels[found.suggested]
        return cls(
            image, found.confidence, suggested, found.suggested_confidence, found.is_confident
        )

    def to_json(self, data: DataSet) -> dict[str, Any]:
        return {
            "file": data.name_of(self.image),
            "label": data.label(self.image),
            "confidence": round(self.confidence, 6),
            "suggested": self.suggested,
            "suggested_confidence": round(self.suggested_confidence, 6),
            "confident": self.is_confident,
        }


@dataclass(frozen=True, slots=True)
class Describer:
    """A network that describes photos by features."""

    identity: str
    """Of everything that its features depend on."""
    spec: ImageSpec
    compute: Compute
    cache: Path


Usable = tuple[LabelledImage, str, Appearance]
"""A photo that can be trained on, the sha256 of its bytes, and its looks."""


@dataclass(frozen=True, slots=True)
class DataCheck:
    """The findings; ``images`` are the photos that can be trained on."""

    data: DataSet
    images: tuple[LabelledImage, ...]
    rejected: tuple[Rejected, ...]
    alike: tuple[Alike, ...]
    manifest_sha256: str
    doubtful: tuple[DoubtfulLabel, ...] = ()
    """Photos whose label is doubtful, the most doubtful first; empty without features."""
    undoubted: tuple[str, ...] = ()
    """Labels with one photo, copies counted as one: the others' photos cannot tell it is right."""

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
        return not (spoilt or unread or not self.data.is_complete)

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
                {"file": self.data.name_of(each.image), "reason": each.reason}
                for each in self.rejected
            ],
            "alike": [
                {
                    "files": [self.data.name_of(image) for image in each.images],
                    "same_file": each.is_same_file,
                    "across_parts": each.is_leak,
                    "across_labels": each.is_conflict,
                }
                for each in self.alike
            ],
            "doubtful_labels": [each.to_json(self.data) for each in self.doubtful],
            "too_few_photos_to_doubt": list(self.undoubted),
        }


def check(
    data: DataSet, on_image: Callable[[], None], describer: Describer | None = None
) -> DataCheck:
    """Reads, prepares and hashes every file, one thread per core; keeps 2 KB of each.

    A file that cannot be read is rejected, and counts in the fingerprint without its bytes.

    Args:
        on_image: called after each file.
        describer: finds edited copies and doubtful labels too; None: only pixels are compared.

    Raises:
        OSError: a photo changes during the check, or the cache of features cannot be used.
    """

    def look(image: LabelledImage) -> tuple[str, Appearance | str]:
        try:
            digest = file_sha256(image.path)
            pixels = load_pixels(image, CHECK_SPEC)
        except OSError:
            return "", UNREADABLE
        finally:
            on_image()
        if isinstance(pixels, Rejection):
            return digest, pixels.reason
        return digest, Appearance.of(pixels)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        seen = list(zip(data.images, pool.map(look, data.images), strict=True))
    usable = [
        (image, digest, looks) for image, (digest, looks) in seen if isinstance(looks, Appearance)
    ]
    features = None if describer is None else _features(usable, describer)
    members = groups(_pairs(usable, features))
    doubtful, undoubted = (
        ((), ()) if features is None else _doubtful(data, usable, features, members)
    )
    return DataCheck(
        data=data,
        images=tuple(image for image, _, _ in usable),
        rejected=tuple(
            Rejected(image, looks) for image, (_, looks) in seen if isinstance(looks, str)
        ),
        alike=tuple(
            Alike(
                tuple(usable[place][0] for place in each),
                is_same_file=len({usable[place][1] for place in each}) == 1,
            )
            for each in members
        ),
        manifest_sha256=data.manifest_of({image.path: digest for image, (digest, _) in seen}),
        doubtful=doubtful,
        undoubted=undoubted,
    )


def _features(usable: Sequence[Usable], describer: Describer) -> npt.NDArray[np.float32] | None:
    """The features of the photos, float32 [n, d]; None if one cannot be described."""
    found = stored_rows(
        [(image, digest) for image, digest, _ in usable],
        describer.identity,
        describer.spec,
        describer.compute,
        describer.cache,
    )
    return None if found.rejected or not usable else found.values.take(slice(None))


def _pairs(
    usable: Sequence[Usable], features: npt.NDArray[np.float32] | None
) -> Iterator[tuple[int, int]]:
    """Photos of the same bytes, of the same looks in any position, or one an edit of the other."""
    yield from equal_pairs([digest for _, digest, _ in usable])
    yield from turned_pairs([looks.hashes for _, _, looks in usable])
    if features is not None:
        for one, other in nearest_pairs(features):
            if likeness(usable[one][2].shown, usable[other][2].shown) >= SAME_LIKENESS:
                yield one, other


def _doubtful(
    data: DataSet,
    usable: Sequence[Usable],
    features: npt.NDArray[np.float32],
    alike: Sequence[Sequence[int]],
) -> tuple[tuple[DoubtfulLabel, ...], tuple[str, ...]]:
    """Returns the doubtful labels, and the labels that cannot be doubted."""
    truth = np.array([image.class_index for image, _, _ in usable], np.int64)
    first = np.arange(len(usable))
    for members in alike:
        first[list(members)] = members[0]
    if len(usable) < LEAST_PHOTOS or len(set(truth.tolist())) < 2:
        return (), ()
    alone = {label for label in truth.tolist() if len(set(first[truth == label].tolist())) == 1}
    probabilities = out_of_fold_probabilities(features, truth, first.tolist())
    found = tuple(
        DoubtfulLabel.of(each, usable[each.row][0], data.classes)
        for each in doubtful_labels(probabilities, truth)
        if truth[each.row] not in alone
    )
    return found, tuple(data.classes[place] for place in sorted(alone))


def largest_to_smallest(labels: Mapping[str, int]) -> float:
    """The size of the largest class divided by that of the smallest."""
    return max(labels.values(), default=0) / max(1, min(labels.values(), default=1))
