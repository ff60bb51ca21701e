"""How long photos take to prepare and to classify, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from imaging import ImageSpec, Rejection, prepare
from model.serving.onnx_model import OnnxModel
from training.data.dataset import LabelledImage, pixels_of, spread
from training.errors import TrainingError
from training.evaluation.measure import BATCH, Images

SPEED_IMAGES = 30


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds per image, one after the other, on one thread."""

    cpu_ms: float
    """The median."""
    latency_ms: float
    """The median wall time, which other programs may lengthen."""
    latency_p95_ms: float


@dataclass(frozen=True, slots=True)
class Speed:
    """How long photos take, and the size of the weights."""

    images: int
    prepare: Timing
    model: Timing
    """One image per run."""
    model_batch_cpu_ms: float
    """The median per image, in runs of BATCH images."""
    weights_bytes: int

    @property
    def images_per_cpu_second(self) -> float:
        """Prepared one by one and run in batches of BATCH."""
        return 1000 / (self.prepare.cpu_ms + self.model_batch_cpu_ms)


def speed(
    model: OnnxModel, spec: ImageSpec, weights: Path, images: Sequence[LabelledImage]
) -> Speed:
    """Times up to SPEED_IMAGES of the photos, evenly from all classes.

    Args:
        images: photos that can be prepared.

    Raises:
        TrainingError: a photo is rejected, so the file has changed.
        OSError: a file cannot be read.
    """
    files = [image.path.read_bytes() for image in spread(images, SPEED_IMAGES)]
    pixels = [_pixels(content, spec) for content in files]
    batches = [np.repeat(each, BATCH, axis=0) for each in pixels[: max(1, SPEED_IMAGES // BATCH)]]
    return Speed(
        images=len(files),
        prepare=_timing([partial(prepare, content, spec) for content in files]),
        model=_timing([partial(model.run, each) for each in pixels]),
        model_batch_cpu_ms=_timing([partial(model.run, each) for each in batches]).cpu_ms / BATCH,
        weights_bytes=weights.stat().st_size,
    )


def _pixels(content: bytes, spec: ImageSpec) -> Images:
    """uint8 [1, size, size, 3]."""
    pixels = pixels_of(content, spec)
    if isinstance(pixels, Rejection):
        raise TrainingError(
            f"A photo changed during the evaluation: {pixels.reason}.", "Run it again."
        )
    return pixels[None]


def _timing(works: Sequence[Callable[[], object]]) -> Timing:
    works[0]()  # the first run allocates memory
    cpu, wall = [], []
    for work in works:
        cpu_begin, wall_begin = time.process_time(), time.perf_counter()
        work()
        wall.append(1000 * (time.perf_counter() - wall_begin))
        cpu.append(1000 * (time.process_time() - cpu_begin))
    return Timing(float(np.median(cpu)), float(np.median(wall)), float(np.percentile(wall, 95)))
