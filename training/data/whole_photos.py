"""Whole photos for augmentation, decoded once at a larger size than the model's, and kept.

A photo is an array in its own file, named by the sha256 of the photo's bytes: a killed pass
resumes where it stopped, and trainings on overlapping data share photos. Files are mapped, so
that a square is cut without reading the rest. Photos beyond the bound are decoded at each use.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Lock
from time import time

import numpy as np
import numpy.typing as npt

from imaging import ImageSpec
from imaging.outcome import Unusable
from imaging.thumbnail import small_picture
from training import parallel
from training.data.dataset import LabelledImage, read_image
from training.progress import tracked

log = logging.getLogger(__name__)

# The longer side against the resize of the preparation: a square of half the area of a photo of 4:3
# has then more pixels than the model sees.
LARGER = 2
UNFINISHED = ".unfinished"
# A photo is written in less than a second; an unfinished file this old is from a killed process.
UNFINISHED_SECONDS = 3600
# 44,000 photos of 4:3 for a resize of 232.
MAX_BYTES = 20 * 1024**3

Pixels = npt.NDArray[np.uint8]


class WholePhotos:
    """Photos as uint8 [height, width, 3], turned as displayed, in their proportions, not enlarged.

    Args:
        cache: below it is a folder for each size.
        max_bytes: of all files in that folder, about.
    """

    def __init__(self, cache: Path, spec: ImageSpec, max_bytes: int = MAX_BYTES) -> None:
        self._longer_side = LARGER * spec.resize
        self._folder = cache / f"photos-{self._longer_side}"
        self._max_bytes = max_bytes

    def keep(self, images: Sequence[tuple[LabelledImage, str]]) -> None:
        """Decodes and keeps those that are not there yet, one thread a core, up to the bound.

        Args:
            images: each with the sha256 of its bytes, 64 hex digits.

        Photos that do not fit on the disk are decoded in every epoch; one warning says so.

        Raises:
            OSError: a photo cannot be read or decoded.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            sizes = self._sizes()
        except OSError as error:
            log.warning("no photo is kept: %s; every epoch decodes them again", error)
            return
        missing = {
            digest: image for image, digest in images if self._file(digest).name not in sizes
        }
        used, lock = sum(sizes.values()), Lock()

        def keep_one(digest: str) -> bool:
            nonlocal used
            if used >= self._max_bytes:
                return False
            pixels = self._decoded(missing[digest])
            try:
                self._write(digest, pixels)
            except OSError as error:
                with lock:
                    if used < self._max_bytes:
                        log.warning("photos cannot be kept in %s: %s", self._folder, error)
                    used = self._max_bytes
                return False
            with lock:
                used += pixels.nbytes
            return True

        with ThreadPoolExecutor(parallel.cores()) as pool:
            kept = sum(tracked(pool.map(keep_one, missing), "photos", len(missing)))
        log.info("%d photos decoded and kept in %s", kept, self._folder)
        if kept < len(missing):
            log.info("the other %d are decoded in every epoch", len(missing) - kept)

    def read(self, image: LabelledImage, digest: str) -> Pixels:
        """Maps a photo that is kept; decodes another.

        Raises:
            OSError: it cannot be read or decoded.
        """
        try:
            mapped: Pixels = np.load(self._file(digest), mmap_mode="r")
        except (
            FileNotFoundError,
            NotADirectoryError,
            ValueError,
            EOFError,
        ):  # not whole, after a loss of power
            return self._decoded(image)
        return mapped

    def _file(self, digest: str) -> Path:
        return self._folder / f"{digest}.npy"

    def _sizes(self) -> dict[str, int]:
        """The bytes of each kept photo, by its file's name; removes files left by killed passes."""
        sizes = {}
        for each in os.scandir(self._folder):
            # Another process may finish and rename its file at any moment.
            if each.name.endswith(".npy"):
                sizes[each.name] = each.stat().st_size
            elif each.name.endswith(UNFINISHED):
                with suppress(FileNotFoundError):
                    if time() - each.stat().st_mtime > UNFINISHED_SECONDS:
                        Path(each).unlink()
        return sizes

    def _write(self, digest: str, pixels: Pixels) -> None:
        with NamedTemporaryFile(dir=self._folder, suffix=UNFINISHED, delete=False) as opened:
            unfinished = Path(opened.name)
            try:
                np.save(opened, pixels)
                opened.flush()
            except OSError:
                unfinished.unlink()
                raise
        unfinished.replace(self._file(digest))

    def _decoded(self, image: LabelledImage) -> Pixels:
        try:
            return np.asarray(small_picture(read_image(image.path), self._longer_side))
        except Unusable as verdict:
            raise OSError(f"{image.path} cannot be decoded: {verdict.detail}") from verdict
