"""A model that is small and invented, but complete: fixtures for the tests of archives."""

import hashlib
from pathlib import Path

import pytest

from archive.card import ModelCard
from archive.uncertainty import Gate
from imaging import ImageSpec

WEIGHTS = b"weights of no model" * 1000


@pytest.fixture
def card() -> ModelCard:
    return ModelCard(
        name="birds",
        version="7",
        labels=("robin", "wren"),
        image_spec=ImageSpec(
            size=224,
            resize=232,
            crop="center",
            interpolation="bilinear",
            mean=(123.675, 116.28, 103.53),
            std=(58.395, 57.12, 57.375),
            layout="NHWC",
        ),
        gate=Gate("not_a_bird", 0.25),
        metrics={"top1": 0.5},
        training_run={"epochs": 3},
        weights_sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    )


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "exported.onnx"
    path.write_bytes(WEIGHTS)
    return path
