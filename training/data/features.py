"""Computes the frozen backbone's features of each photo once, and keeps them.

Training a head on features takes milliseconds per epoch. Running the backbone in every epoch would
give the same numbers, because a frozen backbone gives the same features for the same image.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from imaging import ImageSpec
from model.export import normalise
from training.data.dataset import DataSet
from training.data.feature_pass import PassSeconds, stored_rows
from training.data.feature_store import StoredFeatures
from training.machine import autocast

log = logging.getLogger(__name__)


class FeatureTable:
    """The features of n photos, float32 [n, d], read from the disk when rows are taken."""

    def __init__(self, stored: StoredFeatures) -> None:
        self._stored = stored

    def __len__(self) -> int:
        return len(self._stored)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self._stored), self._stored.width

    def __getitem__(self, rows: slice | Sequence[int] | Tensor) -> Tensor:
        """Copies rows, float32 [m, d]."""
        if isinstance(rows, Tensor):
            return torch.from_numpy(self._stored.take(rows.numpy()))
        if isinstance(rows, slice):
            return torch.from_numpy(self._stored.take(rows))
        return torch.from_numpy(self._stored.take(np.asarray(rows, np.int64)))

    def whole(self) -> npt.NDArray[np.float32]:
        """Copies all rows, float32 [n, d], into memory."""
        return self._stored.take(slice(None))

    def blocks(self, rows: Sequence[int]) -> Iterator[Tensor]:
        """Copies rows block by block, so that never all of them are in memory."""
        return map(torch.from_numpy, self._stored.blocks(rows))


@dataclass(frozen=True, slots=True)
class Features:
    """The backbone's features of every image that could be prepared."""

    values: FeatureTable
    """float32 [n, d]."""
    rows: tuple[int, ...]
    """n indices of `DataSet.images`, ascending."""
    rejected: dict[int, str]
    """Index of each image that was left out → the reason."""
    seconds: PassSeconds = field(default_factory=PassSeconds)


@dataclass(frozen=True, slots=True)
class Extractor:
    """A frozen backbone and everything else that its features depend on."""

    backbone: nn.Module
    """In evaluation mode, on `device`."""
    backbone_identity: str
    """Its name and its weights' sha256: networks that differ in an activation share weights."""
    spec: ImageSpec
    amp: bool
    device: torch.device

    @property
    def identity(self) -> str:
        """Identifies the features that this computes, for the cache."""
        return f"{self.backbone_identity}|{self.spec.hash}|amp={self.amp}"

    def __call__(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Computes features: uint8 [n, size, size, 3] to float32 [n, d] on the CPU."""
        mean, std = (
            torch.tensor(levels, device=self.device).reshape(1, 3, 1, 1)
            for levels in (self.spec.mean, self.spec.std)
        )
        pixels = torch.from_numpy(images).to(self.device)
        with torch.inference_mode(), autocast(self.amp, self.device):
            inputs = normalise(pixels, mean, std).contiguous(memory_format=torch.channels_last)
            features: Tensor = self.backbone(inputs).float().cpu()
        return features


def stored_features(
    data: DataSet, digests: Mapping[Path, str], extractor: Extractor, cache: Path
) -> Features:
    """Takes the features of known photos from the cache, and computes and stores the others.

    Rows of one backbone, preparation and precision are in one folder of the cache.

    Args:
        digests: sha256 of the images' bytes, 64 hex digits.

    Raises:
        OSError: the cache cannot be read or written, or an image cannot be read or has changed.
    """
    photos = [(image, digests[image.path]) for image in data.images]
    found = stored_rows(
        photos,
        extractor.identity,
        extractor.spec,
        lambda images: extractor(images).numpy(),
        cache,
    )
    for row, reason in found.rejected.items():
        log.warning("left out: %s: %s", data.images[row].path, reason)
    return Features(FeatureTable(found.values), found.rows, found.rejected, found.seconds)
