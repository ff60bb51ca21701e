"""Batches of photos, for the phase that trains the backbone too, and of cached features.

Each photo is prepared as everywhere else by `imaging.prepare`, and augmented for training: a random
square of 50 to 100 % of the area of the prepared pixels, or of the largest square in the whole
photo, scaled to the full size, mirrored half of the time. Colours do not change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2  # type: ignore[import-untyped]

from imaging import ImageSpec, Rejection
from model.export import normalise
from training import parallel
from training.data.dataset import LabelledImage, load_pixels
from training.data.features import FeatureTable

LEAST_AREA = 0.5


Whole = Callable[[int], npt.NDArray[np.uint8]]
"""The index of an image to the whole photo, uint8 [height, width, 3]."""


class Photos(Dataset[tuple[Tensor, int]]):
    """uint8 [size, size, 3] and the class of each image, by its index and the pass's seed.

    Args: whole: where augmented squares are cut from; by default the prepared pixels.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        spec: ImageSpec,
        *,
        augment: bool,
        whole: Whole | None = None,
    ) -> None:
        self._images = images
        self.spec = spec
        self._augment = augmentation(spec) if augment else None
        self._whole = whole

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index_and_seed: tuple[int, int]) -> tuple[Tensor, int]:
        index, seed = index_and_seed
        if self._augment is None:
            return self._prepared(index), self._images[index].class_index
        # A photo's own seed, so that its augmentation does not depend on workers or processes.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(_seed_of(seed, index))
            if self._whole is not None:
                pixels = square_of(self._whole(index), self.spec.size)
            else:
                pixels = self._augment(self._prepared(index).permute(2, 0, 1)).permute(1, 2, 0)
        return pixels.contiguous(), self._images[index].class_index

    def _prepared(self, index: int) -> Tensor:
        image = self._images[index]
        outcome = load_pixels(image, self.spec)
        if isinstance(outcome, Rejection):
            # The file was accepted when its features were computed.
            raise OSError(f"{image.path} changed during the training: {outcome.detail}")
        return torch.from_numpy(outcome.copy())


def _seed_of(seed: int, index: int) -> int:
    return int(np.random.SeedSequence((seed, index)).generate_state(1)[0])


def augmentation(spec: ImageSpec) -> v2.Compose:
    """The random transform of uint8 [3, size, size]; torch's seed decides it."""
    return v2.Compose(
        [
            # A ratio of 1: serving never changes the aspect ratio, so training does not either.
            v2.RandomResizedCrop(spec.size, scale=(LEAST_AREA, 1.0), ratio=(1.0, 1.0)),
            v2.RandomHorizontalFlip(),
        ]
    )


def square_of(photo: npt.NDArray[np.uint8], size: int) -> Tensor:
    """Cuts a random square from anywhere in a whole photo; torch's seed decides it.

    Args:
        photo: uint8 [height, width, 3].

    Returns:
        uint8 [size, size, 3], mirrored half of the time.
    """
    height, width, _ = photo.shape
    area, across, down, mirror = torch.rand(4).tolist()
    share = math.sqrt(LEAST_AREA + area * (1 - LEAST_AREA))
    side = max(1, round(min(height, width) * share))
    left, top = round(across * (width - side)), round(down * (height - side))
    square = torch.from_numpy(np.array(photo[top : top + side, left : left + side]))
    resized: Tensor = v2.functional.resize(square.permute(2, 0, 1), [size, size], antialias=True)
    return (resized.flip(2) if mirror < 0.5 else resized).permute(1, 2, 0)


class PhotoBatches:
    """All photos once per pass, normalised, in the memory format that suits convolutions."""

    def __init__(
        self, photos: Photos, batch_size: int, on: torch.device, *, training: bool
    ) -> None:
        self._photos = photos
        self._batch_size, self._training = batch_size, training
        self._none = torch.empty((0, photos.spec.size, photos.spec.size, 3), dtype=torch.uint8)
        self._mean, self._std = (
            torch.tensor(levels, device=on).reshape(1, 3, 1, 1)
            for levels in (photos.spec.mean, photos.spec.std)
        )
        self._on = on

    def __call__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields float32 [batch, 3, size, size] and int64 [batch]; the last may be smaller.

        Of several processes each gets its part of every batch; a part may be empty.
        """
        seed = torch.initial_seed()
        order = (
            torch.randperm(len(self._photos)) if self._training else torch.arange(len(self._photos))
        )
        batches = [
            [(index, seed) for index in parallel.part_of(batch.tolist())]
            for batch in torch.split(order, self._batch_size)
        ]
        on_gpu = self._on.type == "cuda"
        loader = DataLoader(
            self._photos,
            batch_sampler=batches,
            # On a CPU the network keeps all cores busy.
            num_workers=parallel.cores() if on_gpu else 0,
            collate_fn=self._collate,
            pin_memory=on_gpu,
        )
        for pixels, labels in loader:
            inputs = normalise(pixels.to(self._on, non_blocking=True), self._mean, self._std)
            yield inputs.contiguous(memory_format=torch.channels_last), labels.to(self._on)

    def _collate(self, photos: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
        pixels = torch.stack([each for each, _ in photos]) if photos else self._none
        return pixels, torch.tensor([label for _, label in photos], dtype=torch.int64)


class FeatureBatches:
    """Features and labels by batches, float32 [batch, d] and int64 [batch], each row once a pass.

    Args:
        values: float32 [n, d], in memory or read from the disk as rows are taken.
        labels: int64 [n], on the device that the batches go to.
        rows: those to use; all of them by default.
        generator: decides the order of a pass, on the CPU; torch's own by default.
    """

    def __init__(  # noqa: PLR0913 - what to draw, and how
        self,
        values: FeatureTable | Tensor,
        labels: Tensor,
        batch_size: int,
        *,
        training: bool,
        rows: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        self._generator = generator
        self._values, self._labels = values, labels
        self._rows = torch.arange(len(labels)) if rows is None else torch.tensor(rows)
        self._batch_size = batch_size
        self._training = training

    def __call__(self) -> Iterator[tuple[Tensor, Tensor]]:
        count = len(self._rows)
        order = torch.arange(count)
        if self._training:
            order = torch.randperm(count, generator=self._generator)
        for places in torch.split(order, self._batch_size):
            rows = self._rows[places]
            yield self._values[rows].to(self._labels.device), self._labels[rows]
