"""Whole photos are decoded once, kept within a bound, and cut into squares of true proportions."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imaging import ImageSpec
from training.data import whole_photos
from training.data.batches import square_of
from training.data.dataset import DataSet, LabelledImage
from training.data.whole_photos import WholePhotos
from training.loop.prepared import Prepared
from training.train import fit

from .conftest import Configure

SPEC = ImageSpec(64, 70, "center", "bilinear", (0, 0, 0), (1, 1, 1), "NHWC")
SIDE = 140


@pytest.fixture
def images(tmp_path: Path) -> tuple[LabelledImage, ...]:
    """A wide, a tall and a small photo."""
    for place, size in enumerate([(400, 200), (150, 600), (40, 30)]):
        folder = tmp_path / "photos" / ("one", "two")[place % 2]
        folder.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(place).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{place}.png")
    found = DataSet.scan(tmp_path / "photos").images
    return tuple(sorted(found, key=lambda image: image.path.name))


def digests_of(images: tuple[LabelledImage, ...]) -> list[str]:
    return [hashlib.sha256(image.path.read_bytes()).hexdigest() for image in images]


def hashed(images: tuple[LabelledImage, ...]) -> list[tuple[LabelledImage, str]]:
    return list(zip(images, digests_of(images), strict=True))


def test_photos_keep_their_proportions_and_are_not_enlarged(
    images: tuple[LabelledImage, ...], tmp_path: Path
) -> None:
    photos = WholePhotos(tmp_path / "cache", SPEC)
    photos.keep(hashed(images))

    shapes = [photos.read(*each).shape for each in hashed(images)]

    assert shapes == [(SIDE // 2, SIDE, 3), (SIDE, SIDE // 4, 3), (30, 40, 3)]


def test_a_photo_is_decoded_once_whatever_it_is_called(
    images: tuple[LabelledImage, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    picture = whole_photos.small_picture

    def count(data: bytes, size: int) -> Image.Image:
        decoded.append(len(data))
        return picture(data, size)

    monkeypatch.setattr(whole_photos, "small_picture", count)
    digests = digests_of(images)
    WholePhotos(tmp_path / "cache", SPEC).keep(hashed(images))
    moved = images[0].path.rename(tmp_path / "photos" / "two" / "other.png")
    again = (LabelledImage(moved, 1, None), *images[1:])

    photos = WholePhotos(tmp_path / "cache", SPEC)
    photos.keep(hashed(again))
    photos.read(again[0], digests[0])

    assert len(decoded) == 3


def test_the_bound_holds_and_the_others_are_decoded_when_they_are_read(
    images: tuple[LabelledImage, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    whole = WholePhotos(tmp_path / "whole", SPEC)
    whole.keep(hashed(images))
    bounded = WholePhotos(tmp_path / "bounded", SPEC, max_bytes=1)

    bounded.keep(hashed(images))

    (folder,) = (tmp_path / "bounded").iterdir()
    assert len(list(folder.iterdir())) == 1
    for each in hashed(images):
        assert np.array_equal(bounded.read(*each), whole.read(*each))


def test_killed_pass_goes_on_with_the_rest(
    images: tuple[LabelledImage, ...], tmp_path: Path
) -> None:
    """SIGKILL in the middle of the second photo's file."""
    digests = digests_of(images)
    child = os.fork()
    if child == 0:
        os.cpu_count = lambda: 1  # type: ignore[assignment]
        save, saved = np.save, []

        def killed(file: object, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
            saved.append(pixels)
            if len(saved) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            save(file, pixels)  # type: ignore[arg-type]

        np.save = killed  # type: ignore[assignment]
        WholePhotos(tmp_path / "cache", SPEC).keep(hashed(images))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (folder,) = (tmp_path / "cache").iterdir()
    assert len(list(folder.glob("*.npy"))) == 1

    photos = WholePhotos(tmp_path / "cache", SPEC)
    photos.keep(hashed(images))

    assert len(list(folder.glob("*.npy"))) == 3
    assert photos.read(images[1], digests[1]).shape == (SIDE, SIDE // 4, 3)


def test_full_disk_ends_no_training_and_is_told_once(
    images: tuple[LabelledImage, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def save(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(whole_photos.np, "save", save)
    photos = WholePhotos(tmp_path / "cache", SPEC)

    photos.keep(hashed(images))

    assert photos.read(*hashed(images)[0]).shape == (SIDE // 2, SIDE, 3)
    warnings = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "No space left on device" in warnings[0].getMessage()
    assert list((tmp_path / "cache").rglob("*.*")) == []


def test_folder_that_cannot_be_made_ends_no_training(
    images: tuple[LabelledImage, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file")
    photos = WholePhotos(tmp_path / "cache", SPEC)

    photos.keep(hashed(images))

    assert "no photo is kept" in caplog.text
    assert photos.read(*hashed(images)[0]).shape == (SIDE // 2, SIDE, 3)


def test_what_killed_passes_left_is_removed_and_what_others_write_stays(
    images: tuple[LabelledImage, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "cache" / f"photos-{SIDE}"
    folder.mkdir(parents=True)
    old, new = folder / "old.unfinished", folder / "new.unfinished"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))

    WholePhotos(tmp_path / "cache", SPEC).keep(hashed(images))

    assert not old.exists()
    assert new.exists()


def test_file_that_is_not_whole_is_decoded_again(
    images: tuple[LabelledImage, ...], tmp_path: Path
) -> None:
    photos, digests = WholePhotos(tmp_path / "cache", SPEC), digests_of(images)
    photos.keep(hashed(images))
    before = np.array(photos.read(images[0], digests[0]))
    (file,) = (tmp_path / "cache").glob(f"*/{digests[0]}.npy")
    file.write_bytes(file.read_bytes()[:1000])

    assert np.array_equal(photos.read(images[0], digests[0]), before)


def test_squares_come_from_anywhere_in_the_photo_and_stay_squares() -> None:
    # Columns and rows say where they are.
    photo = np.zeros((100, 200, 3), np.uint8)
    photo[..., 0] = np.arange(200)
    photo[..., 1] = np.arange(100)[:, None]
    torch.manual_seed(1)
    lefts, extents = [], []
    for _ in range(200):
        square = square_of(photo, 50).float()
        across, down = square[25, :, 0], square[:, 25, 1]
        lefts.append(across.min().item())
        width = (across.max() - across.min()).item()
        height = (down.max() - down.min()).item()
        assert width == pytest.approx(height, abs=2.5)
        extents.append(width)

    # A square of half to all of the largest one's area: sides of 71 to 100.
    assert 66 < min(extents) < 75
    assert 93 < max(extents) <= 100
    # The prepared pixels end at columns 50 and 150.
    assert min(lefts) < 10
    assert max(lefts) > 105


@pytest.mark.parametrize("shape", [(1, 300, 3), (300, 1, 3), (3, 2, 3)])
def test_the_smallest_photo_gives_a_square(shape: tuple[int, int, int]) -> None:
    assert square_of(np.zeros(shape, np.uint8), 32).shape == (32, 32, 3)


def test_fine_tuning_from_whole_photos_keeps_them_and_repeats_itself(
    prepared: Prepared, configure: Configure, feature_cache: Path
) -> None:
    how = {"unfreeze": "layer4", "epochs": 1, "finetune_epochs": 1}
    settings = configure(**how, augment_from="photo")

    first, again, other = (
        fit(prepared, each).history[-1].train_loss
        for each in (settings, settings, configure(**how))
    )

    assert first == again != other
    # Those of the training part, once for both.
    (folder,) = feature_cache.glob("photos-*")
    assert len(list(folder.glob("*.npy"))) == 24
