"""A trained model's card counts what the model says of its validation photos, and how they look."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from archive.card import read_model_card
from archive.crowd import EDGES, baseline_of
from training.train import train

from .conftest import short_training


def baseline(photos: Path, feature_cache: Path, folder: Path, folds: int) -> Counter[str]:
    settings = short_training(photos, feature_cache, folder, epochs=2)
    result = train(replace(settings, folds=folds))
    found = baseline_of(read_model_card(result.model_dir / "model.json").metrics)
    assert found is not None
    return found


@pytest.mark.parametrize(("folds", "images"), [(0, 6), (2, 30)])
def test_the_card_has_the_counts_but_no_confidence_of_photos_that_it_learned_from(
    photos: Path, feature_cache: Path, tmp_path: Path, folds: int, images: int
) -> None:
    counts = baseline(photos, feature_cache, tmp_path, folds)
    unknown = {"confidence"} if folds else set()
    kinds: Counter[str] = Counter()
    for name, count in counts.items():
        kinds[name.partition(":")[0]] += count
    assert kinds == dict.fromkeys({"labels", *EDGES} - unknown, images)
