"""Cached features are the frozen backbone's outputs for the prepared, normalised photos."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imaging import Rejection
from training.data import features as features_module
from training.data.batches import Photos, augmentation
from training.data.dataset import DataSet, load_pixels
from training.prepared import Prepared, prepare

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
    pixels, label = Photos(prepared.images, prepared.spec, augment=False)[1]

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


def test_features_are_computed_once(
    prepared: Prepared, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*_: object) -> None:
        raise AssertionError("the backbone ran again")

    monkeypatch.setattr(features_module, "compute_features", again)

    torch.testing.assert_close(prepare(configure()).features.values, prepared.features.values)


def test_other_weights_have_features_of_their_own(prepared: Prepared, configure: Configure) -> None:
    other = prepare(configure(weights="random"))

    assert not torch.allclose(other.features.values, prepared.features.values)


def test_other_photos_have_features_of_their_own(
    photos: Path, prepared: Prepared, configure: Configure, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    draw((0, 0, 0), 5).save(folder / "sky" / "00.jpg")

    changed = prepare(configure(data=folder))

    differs = (changed.features.values != prepared.features.values).any(dim=1)
    names = [changed.images[row].path.name for row in differs.nonzero().flatten()]
    assert names == ["00.jpg"]


def test_damaged_cache_says_what_to_do(
    prepared: Prepared, configure: Configure, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    prepare(configure(feature_cache=cache))
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:1000])

    with pytest.raises(OSError, match="remove it"):
        prepare(configure(feature_cache=cache))
