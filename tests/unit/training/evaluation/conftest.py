"""Photos and a model whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.training.colour_model import write_colour_model
from tests.unit.training.evaluation.judging import COLOURS


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Per part and colour four photos; one blue photo of `test` lies in the folder `red`."""
    generator = np.random.default_rng(1)
    for part in ("train", "valid", "test"):
        for label, colour in COLOURS.items():
            folder = tmp_path / "photos" / part / label
            folder.mkdir(parents=True)
            for number in range(4):
                shown = COLOURS["blue"] if (part, label, number) == ("test", "red", 0) else colour
                noise = generator.normal(0, 10, (48, 64, 3))
                pixels = np.clip(np.array(shown) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_colour_model(tmp_path / "model")
