"""Computes the frozen backbone's features of a data set once, and caches them.

Training a head on features takes milliseconds per epoch. Running the backbone in every epoch would
give the same numbers, because a frozen backbone gives the same features for the same image.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from imaging import ImageSpec, Rejection
from model.export import normalise
from training.data.dataset import DataSet, LabelledImage, load_pixels
from training.machine import autocast
from training.progress import tracked

log = logging.getLogger(__name__)

IMAGES_PER_PASS = 16


@dataclass(frozen=True, slots=True)
class Features:
    """The backbone's features of every image that could be prepared."""

    values: Tensor
    """float32 [n, d]."""
    rows: tuple[int, ...]
    """n indices of `DataSet.images`, ascending."""
    rejected: dict[int, str]
    """Index of each image that was left out → the reason."""


@dataclass(frozen=True, slots=True)
class Extractor:
    """A frozen backbone and everything else that its features depend on."""

    backbone: nn.Module
    """In evaluation mode, on `device`."""
    weights_sha256: str
    spec: ImageSpec
    amp: bool
    device: torch.device

    @property
    def identity(self) -> str:
        """Identifies the features that this computes, for the cache."""
        return f"{self.weights_sha256}|{self.spec.hash}|amp={self.amp}"

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


def default_cache() -> Path:
    """The cache below XDG_CACHE_HOME, by default `~/.cache/imagedrop/features`."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "imagedrop" / "features"


def cached_features(
    data: DataSet, manifest_sha256: str, extractor: Extractor, cache: Path
) -> Features:
    """Reads the features from the cache, or computes and stores them.

    The key is everything that features depend on: the images and their order, the backbone's
    weights, the preparation and the precision.

    Raises:
        OSError: the cache cannot be read or written, or an image cannot be read.
    """
    key = hashlib.sha256(f"{manifest_sha256}|{extractor.identity}".encode()).hexdigest()[:32]
    file = cache / f"{key}.npz"
    try:
        features = _read(file)
        log.info("features of %d images read from %s", len(features.rows), file)
    except FileNotFoundError:
        features = compute_features(data, extractor)
        _write(features, file)
    return features


def compute_features(data: DataSet, extractor: Extractor) -> Features:
    """Runs the backbone over every image; logs the images that are rejected."""
    values: list[Tensor] = []
    rows: list[int] = []
    rejected: dict[int, str] = {}
    prepared = _prepared(data.images, extractor.spec, rejected)
    while batch := list(islice(prepared, IMAGES_PER_PASS)):
        values.append(extractor(np.stack([image for _, image in batch])))
        rows += [row for row, _ in batch]
    for row, reason in rejected.items():
        log.warning("left out: %s: %s", data.images[row].path, reason)
    # A clone outside inference mode can be trained on.
    return Features(torch.cat(values).clone() if values else torch.empty(0), tuple(rows), rejected)


def _prepared(
    images: Sequence[LabelledImage], spec: ImageSpec, rejected: dict[int, str]
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    for row, image in enumerate(tracked(images, "features", len(images))):
        outcome = load_pixels(image, spec)
        if isinstance(outcome, Rejection):
            rejected[row] = f"{outcome.reason}: {outcome.detail}"
        else:
            yield row, outcome


def _read(file: Path) -> Features:
    try:
        with np.load(file, allow_pickle=False) as saved:
            reasons = zip(saved["rejected_rows"].tolist(), saved["reasons"].tolist(), strict=True)
            return Features(
                torch.from_numpy(saved["values"]), tuple(saved["rows"].tolist()), dict(reasons)
            )
    except (BadZipFile, EOFError, KeyError, ValueError) as error:
        # Files are renamed into place when complete, so this means a failed disk.
        raise OSError(f"{file} is damaged ({error}): remove it") from error


def _write(features: Features, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.stem}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("wb") as opened:
            np.savez(
                opened,
                values=features.values.numpy(),
                rows=np.array(features.rows, dtype=np.int64),
                rejected_rows=np.array(list(features.rejected), dtype=np.int64),
                reasons=np.array(list(features.rejected.values()), dtype=np.str_),
            )
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
