"""Twenty trials over cached features beside two of the naive way, in one run.

    .venv/bin/python -m bench.tuning --data FOLDER [--backbone efficientnet_lite0]

The naive way runs the frozen backbone over every photo in every epoch, as the original course
project did; a frozen backbone answers the same each time, so both ways train the same head.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from training.data.features import Extractor, stored_features
from training.prepared import Prepared, prepare
from training.search import AROUND_DEFAULTS
from training.settings import TrainSettings
from training.train import fit
from training.tune import tune

TRIALS, NAIVE_TRIALS = 20, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        settings = TrainSettings(
            data=options.data,
            backbone=options.backbone,
            output_dir=Path(temporary) / "search",
            feature_cache=Path(temporary) / "features",  # empty: its first use is in the figure
        )
        began = time.perf_counter()
        found = tune(settings, AROUND_DEFAULTS, TRIALS, parallel=1, on_trial=lambda: None)
        cached_seconds = time.perf_counter() - began
        print(
            f"{TRIALS} trials, cached features: {cached_seconds:.1f} s, log loss {found.value:.4f}"
        )

        best = replace(settings, **found.best)
        prepared = prepare(settings)
        began = time.perf_counter()
        values = [naive(prepared, best) for _ in range(NAIVE_TRIALS)]
        naive_seconds = time.perf_counter() - began
        print(f"{NAIVE_TRIALS} trials, the naive way: {naive_seconds:.1f} s, top-1 {values[0]:.4f}")
        print(f"one trial: {cached_seconds / TRIALS:.2f} s against {naive_seconds / 2:.2f} s")


def naive(prepared: Prepared, settings: TrainSettings) -> float:
    """One trial, with the backbone's work done in every epoch."""
    extractor = Extractor(
        prepared.network.backbone,
        prepared.backbone_sha256,
        prepared.spec,
        settings.amp,
        prepared.device,
    )
    digests = prepared.data.digests
    for _ in range(settings.epochs):
        with tempfile.TemporaryDirectory() as empty:
            features = stored_features(prepared.data, digests, extractor, Path(empty))
            if not torch.allclose(features.values[:], prepared.features.values[:], atol=1e-4):
                raise SystemExit("a frozen backbone answered otherwise")
    return fit(prepared, settings).metrics.valid_top1 or 0.0


if __name__ == "__main__":
    main()
