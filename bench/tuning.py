"""A trial of a search over cached features beside one of the naive way, in one run.

    .venv/bin/python -m bench.tuning [--data FOLDER] [--backbone efficientnet_lite0]

The naive way runs the frozen backbone over every photo in every epoch, as the original course
project did; a frozen backbone answers the same each time, so both ways train the same head.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench.standing import OURS, Bar, Section
from training.data.features import Extractor, stored_features
from training.loop.prepared import Prepared, prepare
from training.settings import TrainSettings
from training.train import fit
from training.tuning.search import AROUND_DEFAULTS
from training.tuning.tune import tune

TRIALS, NAIVE_TRIALS = 20, 1
PHOTOS_A_CLASS = 8


def standing(data: Path | None = None, backbone: str = "efficientnet_lite0") -> Section:
    """Runs the search, then trials of the naive way, over a folder or over photos made here."""
    with tempfile.TemporaryDirectory() as temporary:
        settings = TrainSettings(
            data=data or _made_photos(Path(temporary) / "photos"),
            backbone=backbone,
            output_dir=Path(temporary) / "search",
            feature_cache=Path(temporary) / "features",  # empty: its first use is in the figure
        )
        began = time.process_time()
        prepared = prepare(settings)
        found = tune(prepared, settings, AROUND_DEFAULTS, TRIALS, parallel=1, on_trial=lambda: None)
        ours = (time.process_time() - began) / TRIALS
        best = replace(settings, **found.best)
        others = []
        for _ in range(NAIVE_TRIALS):
            began = time.process_time()
            naive(prepared, best)
            others.append(time.process_time() - began)
    return Section(
        "tuning",
        f"One of {TRIALS} trials of a search",
        "CPU s",
        {OURS: [ours], "naive epochs": others},
        [Bar("naive / ours ≥ 10", statistics.median(others) / ours, 10.0, True)],
        notes=[f"{len(prepared.images)} photos, {backbone}, log loss {found.value:.3f}."],
    )


def _made_photos(folder: Path) -> Path:
    """Photos of noise in three colours: what they show does not matter for the time."""
    for place, colour in enumerate(((60, 170, 60), (190, 50, 40), (80, 120, 200))):
        (folder / f"colour_{place}").mkdir(parents=True)
        for number in range(PHOTOS_A_CLASS):
            noise = np.random.default_rng(100 * place + number).normal(0, 40, (72, 96, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"colour_{place}" / f"{number:03}.jpg")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="a folder of labelled photos; else made ones")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    options = parser.parse_args()
    print(standing(options.data, options.backbone).text())


def naive(prepared: Prepared, settings: TrainSettings) -> float:
    """One trial, with the backbone's work done in every epoch."""
    extractor = Extractor(
        prepared.network.backbone,
        prepared.backbone_sha256,
        prepared.spec,
        settings.amp,
        prepared.device,
    )
    _, digests = prepared.data.read()
    for _ in range(settings.epochs):
        with tempfile.TemporaryDirectory() as empty:
            features = stored_features(prepared.data, digests, extractor, Path(empty))
            if not torch.allclose(features.values[:], prepared.features.values[:], atol=1e-4):
                raise SystemExit("a frozen backbone answered otherwise")
    return fit(prepared, settings).metrics.valid_top1 or 0.0


if __name__ == "__main__":
    main()
