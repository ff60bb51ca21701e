"""Cached features are the frozen backbone's outputs for the prepared, normalised photos."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor

from imaging import Rejection
from training.data import feature_pass
from training.data.batches import Photos, augmentation
from training.data.dataset import DataSet, load_pixels
from training.data.feature_pass import IMAGES_PER_PASS, PassSeconds
from training.data.features import Extractor, stored_features
from training.loop import prepared as prepared_module
from training.loop.prepared import Prepared, prepare
from training.settings import TrainSettings
from training.train import main

from .conftest import IMAGES_A_CLASS, LABELS, Configure, draw


def test_backbone_is_shown_normalised_pixels(prepared: Prepared) -> None:
    spec = prepared.spec
    pixels = load_pixels(prepared.images[0], spec)
    assert not isinstance(pixels, Rejection)
    normalised = (pixels.astype(np.float64) - np.array(spec.mean)) / np.array(spec.std)
    inputs = torch.tensor(normalised.transpose(2, 0, 1)[np.newaxis]).float()

    with torch.inference_mode():
        expected = prepared.network.backbone.eval()(inputs)

    torch.testing.assert_close(prepared.features.values[:1], expected, rtol=1e-3, atol=1e-3)


def test_photos_of_the_second_phase_are_the_same_pixels(prepared: Prepared) -> None:
    pixels, label = Photos(prepared.images, prepared.spec, augment=False)[1, 1]

    assert np.array_equal(pixels.numpy(), load_pixels(prepared.images[1], prepared.spec))
    assert label == prepared.images[1].class_index


@pytest.mark.parametrize("size", [(640, 160), (160, 640)])
def test_a_square_stays_a_square(size: tuple[int, int], tmp_path: Path, prepared: Prepared) -> None:
    width, height = size
    photo = Image.new("RGB", size, (0, 0, 0))
    photo.paste(
        (255, 255, 255), (width // 2 - 30, height // 2 - 30, width // 2 + 30, height // 2 + 30)
    )
    for label in ("one", "two"):
        (tmp_path / label).mkdir()
        photo.save(tmp_path / label / "square.png")

    pixels = load_pixels(DataSet.scan(tmp_path).images[0], prepared.spec)

    assert not isinstance(pixels, Rejection)
    across, down = _extent(pixels)
    assert across == down
    torch.manual_seed(1)
    augmented = augmentation(prepared.spec)(torch.from_numpy(pixels.copy()).permute(2, 0, 1))
    across, down = _extent(augmented.permute(1, 2, 0).numpy())
    # One pixel of rounding, magnified.
    assert abs(across - down) <= 2


def _extent(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> tuple[int, int]:
    """Columns and rows that the white square covers."""
    white = pixels[..., 0] > 127
    return int(white.any(axis=0).sum()), int(white.any(axis=1).sum())


def test_truncated_photo_is_left_out_and_named(
    photos: Path, tmp_path: Path, configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    draw((200, 200, 60), 77).save(folder / "sky" / "cut.jpg", quality=95)
    whole = (folder / "sky" / "cut.jpg").read_bytes()
    (folder / "sky" / "cut.jpg").write_bytes(whole[: len(whole) // 2])

    found = prepare(configure(data=folder))

    assert len(found.images) == len(LABELS) * IMAGES_A_CLASS
    assert "cut.jpg" not in {image.path.name for image in found.images}
    assert next(iter(found.features.rejected.values())).startswith("truncated")
    assert "cut.jpg" in caplog.text


class Counting(Extractor):
    """Counts the photos that the backbone runs over; ends this process before one of them."""

    computed = 0
    limit = 1000

    def __call__(self, images: npt.NDArray[np.uint8]) -> Tensor:
        if Counting.computed + len(images) > Counting.limit:
            os.kill(os.getpid(), signal.SIGKILL)
        Counting.computed += len(images)
        return super().__call__(images)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    monkeypatch.setattr(prepared_module, "Extractor", Counting)
    Counting.computed = 0
    return Counting


def test_features_are_computed_once(
    prepared: Prepared, configure: Configure, counting: type[Counting]
) -> None:
    again = prepare(configure())

    assert counting.computed == 0
    torch.testing.assert_close(again.features.values[:], prepared.features.values[:])


def test_one_photo_more_computes_one(
    photos: Path, tmp_path: Path, configure: Configure, counting: type[Counting]
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    prepare(configure(data=folder))
    counting.computed = 0
    draw((9, 9, 9), 5).save(folder / "sky" / "new.jpg")
    shutil.copy(folder / "sky" / "01.png", folder / "sky" / "copy.png")
    (folder / "sky" / "00.jpg").rename(folder / "001.Green_apple" / "moved.jpg")

    changed = prepare(configure(data=folder))

    assert counting.computed == 1
    assert len(changed.images) == len(LABELS) * IMAGES_A_CLASS + 2


def test_killed_pass_goes_on_with_the_rest(
    photos: Path, tmp_path: Path, configure: Configure, counting: type[Counting]
) -> None:
    """SIGKILL at the second of two passes; the first pass is not repeated."""
    settings = configure(feature_cache=tmp_path / "cache")
    child = os.fork()
    if child == 0:
        counting.limit = IMAGES_PER_PASS
        feature_pass.SAVE_SECONDS = 0.0
        torch.set_num_threads(1)  # the parent's threads do not exist here
        prepare(settings)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

    prepared = prepare(settings)

    assert counting.computed == len(LABELS) * IMAGES_A_CLASS - IMAGES_PER_PASS
    whole = prepare(configure())
    torch.testing.assert_close(prepared.features.values[:], whole.features.values[:])


def test_photo_that_changes_while_features_are_computed_is_refused(
    photos: Path, tmp_path: Path, prepared: Prepared, configure: Configure
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    data, digests = DataSet.scan(folder).read()
    draw((9, 9, 9), 5).save(data.images[0].path)
    extractor = Extractor(
        prepared.network.backbone, "weights", prepared.spec, False, prepared.device
    )

    with pytest.raises(OSError, match="changed"):
        stored_features(data, digests, extractor, tmp_path / "cache")


def test_other_weights_have_features_of_their_own(prepared: Prepared, configure: Configure) -> None:
    other = prepare(configure(weights="random"))

    assert not torch.allclose(other.features.values[:], prepared.features.values[:])


def test_other_photos_have_features_of_their_own(
    photos: Path, prepared: Prepared, configure: Configure, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    draw((0, 0, 0), 5).save(folder / "sky" / "00.jpg")

    changed = prepare(configure(data=folder))

    differs = (changed.features.values[:] != prepared.features.values[:]).any(dim=1)
    names = [changed.images[row].path.name for row in differs.nonzero().flatten()]
    assert names == ["00.jpg"]


def test_damaged_cache_says_what_to_do(
    prepared: Prepared, configure: Configure, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    prepare(configure(feature_cache=cache))
    (index,) = cache.glob("*/index")
    index.write_bytes(b"?" * 1000)

    with pytest.raises(OSError, match="remove it"):
        prepare(configure(feature_cache=cache))


def test_time_of_the_pass_is_told(configure: Configure, tmp_path: Path) -> None:
    first = prepare(configure(feature_cache=tmp_path)).features.seconds
    again = prepare(configure(feature_cache=tmp_path)).features.seconds

    assert first.computed == len(LABELS) * IMAGES_A_CLASS
    assert min(first.photos, first.backbone, first.storing) > 0
    assert again == PassSeconds()


def test_trial_reads_what_a_job_kept_and_computes_nothing(
    photos: Path, tmp_path: Path, counting: type[Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two jobs of a search on SageMaker: one keeps the features, each trial reads them."""
    monkeypatch.setenv("SM_CHANNEL_TRAINING", str(photos))
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path / "ml" / "model"))
    monkeypatch.setenv("SM_OUTPUT_DATA_DIR", str(tmp_path / "output"))
    backbone = ["--backbone", "efficientnet_lite0"]

    assert main([*backbone, "--features-only", "true"]) == 0

    assert counting.computed == len(LABELS) * IMAGES_A_CLASS
    assert not (tmp_path / "ml" / "model").exists()
    counting.computed = 0
    monkeypatch.setenv("SM_CHANNEL_FEATURES", str(tmp_path / "ml" / "checkpoints" / "features"))
    trial = prepare(TrainSettings.from_arguments(backbone))
    assert counting.computed == 0
    assert len(trial.images) == len(LABELS) * IMAGES_A_CLASS
