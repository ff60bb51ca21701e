"""The default model as it ships, and as it comes out of its sources today."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archive.reading import extract_archive
from imaging import Prepared, prepare
from model.build_default import IMAGE_SPEC, PHOTOS, build_weights
from model.package import DEFAULT_ARCHIVE
from model.quantization_images import Images


@pytest.fixture(scope="session")
def photos() -> dict[str, Images]:
    """The demo's photos by name, each one image: uint8 [1, size, size, 3]."""
    outcomes = {
        path.name: prepare(path.read_bytes(), IMAGE_SPEC) for path in sorted(PHOTOS.iterdir())
    }
    shape = (1, IMAGE_SPEC.size, IMAGE_SPEC.size, 3)
    return {
        name: np.frombuffer(outcome.pixels, np.uint8).reshape(shape)
        for name, outcome in outcomes.items()
        if isinstance(outcome, Prepared)
    }


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extracted archive."""
    content = tmp_path_factory.mktemp("shipped") / "content"
    extract_archive(DEFAULT_ARCHIVE, content)
    return content


@pytest.fixture(scope="session")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """fp32 and int8, from the source weights."""
    return build_weights(tmp_path_factory.mktemp("rebuilt"))
