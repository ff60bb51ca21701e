"""Features are taken from a model's graph without onnx, and damaged graphs are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archive.reading import WEIGHTS_NAME, extract_archive
from model.graph.features import OnnxFeatures, pooled_output
from model.package import DEFAULT_ARCHIVE


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("default") / "content"
    extract_archive(DEFAULT_ARCHIVE, folder)
    return folder / WEIGHTS_NAME


def test_default_model_describes_photos_by_1280_features(weights: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (3, 224, 224, 3), np.uint8)
    compute = OnnxFeatures(weights)

    features = compute(images)

    assert features.shape == (3, 1280)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert features.std() > 0
    np.testing.assert_array_equal(compute(images[1:2]), features[1:2])


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_graph_that_is_cut_off_is_refused(weights: Path, tmp_path: Path, share: float) -> None:
    content = weights.read_bytes()
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(content[: int(share * len(content))])

    with pytest.raises(ValueError, match="cut off"):
        OnnxFeatures(cut)


@pytest.mark.parametrize("content", [b"", b"\x3a\x00", b"\xff" * 20, b"\x3a\xff\xff\xff\xff\x7f"])
def test_what_is_no_graph_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"no pooling|cut off|wire type"):
        pooled_output(content)
