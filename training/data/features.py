"""Computes the frozen backbone's features of each photo once, and keeps them.

Training a head on features takes milliseconds per epoch. Running the backbone in every epoch would
give the same numbers, because a frozen backbone gives the same features for the same image.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from imaging import ImageSpec, Rejection, prepare
from model.export import normalise
from training.data.dataset import DataSet, LabelledImage, read_image
from training.data.feature_store import FeatureStore, StoredFeatures
from training.machine import autocast
from training.progress import tracked

log = logging.getLogger(__name__)

Photo = tuple[bytes, LabelledImage]
Loaded = tuple[bytes, npt.NDArray[np.uint8] | Rejection]

IMAGES_PER_PASS = 16
# Rows wait this long to be written together, because each write waits for the disk; a killed
# process loses as much.
SAVE_SECONDS = 1.0
# Without a terminal there is no progress bar.
LOG_SECONDS = 30.0


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

    def blocks(self, rows: Sequence[int]) -> Iterator[Tensor]:
        """Copies rows block by block, so that never all of them are in memory."""
        return map(torch.from_numpy, self._stored.blocks(rows))


@dataclass(slots=True)
class PassSeconds:
    """Wall time of getting the features, by what it was spent on."""

    photos: float = 0.0
    """Waiting for photos: reading, decoding, resizing."""
    backbone: float = 0.0
    storing: float = 0.0
    """Writing to the cache."""
    computed: int = 0
    """Photos that the backbone ran over; the features of the others were there."""


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


def stored_features(
    data: DataSet, digests: Mapping[Path, str], extractor: Extractor, cache: Path
) -> Features:
    """Takes the features of known photos from the cache, and computes and stores the others.

    A photo is known by its bytes, whatever its name, label and data set; rows of one backbone,
    preparation and precision are in one folder of the cache. Photos that cannot be prepared are
    not kept: they are tried again.

    Args:
        digests: sha256 of the images' bytes, 64 hex digits.

    Raises:
        OSError: the cache cannot be read or written, or an image cannot be read or has changed.
    """
    store = FeatureStore(cache / hashlib.sha256(extractor.identity.encode()).hexdigest()[:32])
    hashes = [bytes.fromhex(digests[image.path]) for image in data.images]
    missing = {
        digest: image
        for image, digest in zip(data.images, hashes, strict=True)
        if digest not in store
    }
    seconds = PassSeconds()
    reasons = _fill(store, missing, extractor, seconds)
    rows = tuple(row for row, digest in enumerate(hashes) if digest in store)
    rejected = {row: reasons[each] for row, each in enumerate(hashes) if each not in store}
    for row, reason in rejected.items():
        log.warning("left out: %s: %s", data.images[row].path, reason)
    known = len(set(hashes)) - len(missing)
    log.info("features of %d photos computed, %d were in %s", seconds.computed, known, cache)
    stored = store.rows_of([hashes[row] for row in rows])
    return Features(FeatureTable(stored), rows, rejected, seconds)


def _fill(
    store: FeatureStore,
    photos: Mapping[bytes, LabelledImage],
    extractor: Extractor,
    seconds: PassSeconds,
) -> dict[bytes, str]:
    """Computes the features of photos, by their hashes, and stores them as they come.

    Returns:
        The reason of each photo that cannot be prepared.
    """
    reasons: dict[bytes, str] = {}
    unsaved: list[tuple[bytes, npt.NDArray[np.float32]]] = []

    def save() -> None:
        began = perf_counter()
        store.append([digest for digest, _ in unsaved], np.stack([each for _, each in unsaved]))
        unsaved.clear()
        seconds.storing += perf_counter() - began

    prepared = _prepared(photos, extractor.spec, reasons)
    asked = saved = told = perf_counter()
    while batch := list(islice(prepared, IMAGES_PER_PASS)):
        began = perf_counter()
        values = extractor(np.stack([pixels for _, pixels in batch])).numpy()
        ended = perf_counter()
        seconds.photos += began - asked
        seconds.backbone += ended - began
        seconds.computed += len(batch)
        unsaved += [(digest, each) for (digest, _), each in zip(batch, values, strict=True)]
        if ended - saved >= SAVE_SECONDS:
            save()
            saved = perf_counter()
        if ended - told >= LOG_SECONDS:
            log.info("features of %d of %d photos", seconds.computed, len(photos))
            told = ended
        asked = perf_counter()
    if unsaved:
        save()
    return reasons


def _prepared(
    photos: Mapping[bytes, LabelledImage], spec: ImageSpec, reasons: dict[bytes, str]
) -> Iterator[tuple[bytes, npt.NDArray[np.uint8]]]:
    """Prepares photos in order, one thread a core, a few photos ahead of what is taken."""

    def load(photo: tuple[bytes, LabelledImage]) -> Loaded:
        digest, image = photo
        return digest, _load_hashed(image, digest, spec)

    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        following = tracked(photos.items(), "features", len(photos))
        for digest, outcome in _ahead(pool, load, following, IMAGES_PER_PASS + threads):
            if isinstance(outcome, Rejection):
                reasons[digest] = f"{outcome.reason}: {outcome.detail}"
            else:
                yield digest, outcome


def _ahead(
    pool: ThreadPoolExecutor,
    load: Callable[[Photo], Loaded],
    photos: Iterable[Photo],
    window: int,
) -> Iterator[Loaded]:
    """The results in order, at most `window` of them begun before they are taken."""
    begun: deque[Future[Loaded]] = deque()
    try:
        for photo in photos:
            begun.append(pool.submit(load, photo))
            if len(begun) >= window:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for each in begun:
            each.cancel()


def _load_hashed(
    image: LabelledImage, digest: bytes, spec: ImageSpec
) -> npt.NDArray[np.uint8] | Rejection:
    """Prepares a photo, uint8 [size, size, 3].

    Raises:
        OSError: the file cannot be read, or has changed since it was hashed.
    """
    content = read_image(image.path)
    outcome = prepare(content, spec)
    if isinstance(outcome, Rejection):
        return outcome
    if hashlib.sha256(content).digest() != digest:
        raise OSError(f"{image.path} changed while features were computed: start again")
    return np.frombuffer(outcome.pixels, np.uint8).reshape(spec.size, spec.size, 3)
