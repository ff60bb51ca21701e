"""Computes a result for every photo that has none stored yet; it needs no torch. Photos are
prepared ahead of the computation, one thread a core, and rows are stored as they come.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from imaging import ImageSpec, Rejection
from training.data.dataset import LabelledImage, pixels_of, read_image
from training.data.feature_store import FeatureStore, StoredFeatures
from training.progress import tracked

log = logging.getLogger(__name__)

Compute = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""uint8 [n, size, size, 3] to float32 [n, d]."""
Photo = tuple[bytes, LabelledImage]
Loaded = tuple[bytes, npt.NDArray[np.uint8] | Rejection]

IMAGES_PER_PASS = 16
# Rows wait this long to be written together, because each write waits for the disk; a killed
# process loses as much.
SAVE_SECONDS = 1.0
# Without a terminal there is no progress bar.
LOG_SECONDS = 30.0


@dataclass(slots=True)
class PassSeconds:
    """Wall time of getting the features, by activity."""

    photos: float = 0.0
    """Waiting for photos: reading, decoding, resizing."""
    backbone: float = 0.0
    storing: float = 0.0
    """Writing to the cache."""
    computed: int = 0
    """Photos that the backbone ran over; the features of the others were there."""


@dataclass(frozen=True, slots=True)
class StoredRows:
    """The rows of the photos that could be prepared."""

    values: StoredFeatures
    rows: tuple[int, ...]
    """n indices of the photos, ascending."""
    rejected: dict[int, str]
    """Index of each photo that was left out → the reason."""
    seconds: PassSeconds


def stored_rows(
    photos: Sequence[tuple[LabelledImage, str]],
    identity: str,
    spec: ImageSpec,
    compute: Compute,
    cache: Path,
) -> StoredRows:
    """Takes the rows of known photos from the cache, and computes and stores the others.

    A photo is known by its bytes, whatever its name, label and data set. Photos that cannot be
    prepared are not kept: they are tried again.

    Args:
        photos: images, and the sha256 of their bytes, 64 hex digits.
        identity: of everything that rows depend on except the photo; each has its own folder of the
        cache.

    Raises:
        OSError: the cache cannot be read or written, or an image cannot be read or has changed.
    """
    store = FeatureStore(cache / hashlib.sha256(identity.encode()).hexdigest()[:32])
    hashes = [bytes.fromhex(digest) for _, digest in photos]
    missing = {
        digest: image
        for (image, _), digest in zip(photos, hashes, strict=True)
        if digest not in store
    }
    seconds = PassSeconds()
    reasons = store_missing(store, missing, spec, compute, seconds)
    rows = tuple(row for row, digest in enumerate(hashes) if digest in store)
    known = len(set(hashes)) - len(missing)
    log.info("features of %d photos computed, %d were in %s", seconds.computed, known, cache)
    return StoredRows(
        values=store.rows_of([hashes[row] for row in rows]),
        rows=rows,
        rejected={row: reasons[each] for row, each in enumerate(hashes) if each not in store},
        seconds=seconds,
    )


def store_missing(
    store: FeatureStore,
    photos: Mapping[bytes, LabelledImage],
    spec: ImageSpec,
    compute: Compute,
    seconds: PassSeconds,
) -> dict[bytes, str]:
    """Computes and stores the rows of photos, by the sha256 of their bytes.

    Args:
        photos: those without a row.
        seconds: to which the time is added.

    Returns:
        The reason of each photo that cannot be prepared.

    Raises:
        OSError: a photo cannot be read or has changed, or the store cannot be written.
    """
    reasons: dict[bytes, str] = {}
    unsaved: list[tuple[bytes, npt.NDArray[np.float32]]] = []

    def save() -> None:
        began = perf_counter()
        store.append([digest for digest, _ in unsaved], np.stack([each for _, each in unsaved]))
        unsaved.clear()
        seconds.storing += perf_counter() - began

    prepared = _prepared(photos, spec, reasons)
    asked = saved = told = perf_counter()
    while batch := list(islice(prepared, IMAGES_PER_PASS)):
        began = perf_counter()
        values = compute(np.stack([pixels for _, pixels in batch]))
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
    outcome = pixels_of(content, spec)
    if not isinstance(outcome, Rejection) and hashlib.sha256(content).digest() != digest:
        raise OSError(f"{image.path} changed while features were computed: start again")
    return outcome
