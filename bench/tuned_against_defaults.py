"""Tuned hyperparameters against the defaults, on photos that no trial saw, over many splits.

    .venv/bin/python -m bench.tuned_against_defaults --data FOLDER … [--splits 8] [--trials 12]

Each split holds a fifth of the photos out, searches on the rest, trains on the rest with what the
search chose and with the defaults, as `imagedrop train` does, and measures both on the photos held
out. One split says little: a mean with an interval over all of them is printed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch

from training.data.partition import partition
from training.loop.prepared import Prepared, prepare
from training.settings import TrainSettings
from training.statistics.metrics import expected_calibration_error
from training.statistics.out_of_fold import cross_entropy, softmax
from training.train import fit
from training.tuning.search import AROUND_DEFAULTS
from training.tuning.tune import tune

# Student's t, two-sided 95 %, for 2 to 15 splits.
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14)


@dataclass(frozen=True, slots=True)
class Measured:
    """A head on the photos that were held out."""

    log_loss: float
    top1: float
    ece: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--splits", type=int, default=8)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--feature-cache", type=Path)
    options = parser.parse_args()
    if not 2 <= options.splits <= len(STUDENT) + 1:
        parser.error(f"--splits: an interval needs 2 to {len(STUDENT) + 1}")
    for folder in options.data:
        settings = TrainSettings(
            data=folder, backbone=options.backbone, feature_cache=options.feature_cache
        )
        compare(prepare(settings), settings, options.splits, options.trials)


def compare(prepared: Prepared, settings: TrainSettings, splits: int, trials: int) -> None:
    """Prints both sides of every split, and the mean differences."""
    print(f"{settings.data}: {len(prepared.images)} photos, {splits} splits, {trials} trials")
    pairs = []
    for seed in range(1, splits + 1):
        held = with_test_part(prepared, seed)
        chosen = replace(settings, seed=seed)
        with tempfile.TemporaryDirectory() as folder:
            own = replace(chosen, output_dir=Path(folder))
            found = tune(held, own, AROUND_DEFAULTS, trials, parallel=1, on_trial=lambda: None)
        tuned = replace(chosen, **found.best)
        defaults = trained(held, chosen)
        pairs.append((defaults if tuned == chosen else trained(held, tuned), defaults))
        text = "tuned" if tuned != chosen else "the defaults are kept"
        print(f"  split {seed}: {shown(*pairs[-1])}: {text}", flush=True)
    for name in ("log_loss", "top1", "ece"):
        print(f"  {name}: {summary([(getattr(a, name), getattr(b, name)) for a, b in pairs])}")


def with_test_part(prepared: Prepared, seed: int) -> Prepared:
    """The same photos with a fifth of them as the part test, which no training and search uses."""
    parts = partition(prepared.images, seed + 1000, prepared.first_alike)
    test = set(parts.valid)
    return replace(
        prepared,
        images=tuple(
            replace(image, split="test" if row in test else "train")
            for row, image in enumerate(prepared.images)
        ),
    )


def trained(prepared: Prepared, settings: TrainSettings) -> Measured:
    """Trains as `imagedrop train` does; measures the kept epoch on the part test."""
    return measured(prepared, fit(prepared, settings).network.head)


def measured(prepared: Prepared, head: torch.nn.Module) -> Measured:
    """Measures a head on the part test."""
    rows = [row for row, image in enumerate(prepared.images) if image.split == "test"]
    truth = np.array([prepared.images[row].class_index for row in rows], np.int64)
    head.eval()
    with torch.inference_mode():
        logits = head(prepared.features.values[rows].to(prepared.device)).cpu().numpy()
    return Measured(
        log_loss=float(cross_entropy(logits, truth).mean()),
        top1=float((logits.argmax(axis=1) == truth).mean()),
        ece=expected_calibration_error(softmax(logits), truth),
    )


def shown(tuned: Measured, defaults: Measured) -> str:
    return (
        f"log loss {tuned.log_loss:.3f} for {defaults.log_loss:.3f}, top-1 {tuned.top1:.3f} for "
        f"{defaults.top1:.3f}, ECE {tuned.ece:.3f} for {defaults.ece:.3f}"
    )


def summary(pairs: Sequence[tuple[float, float]]) -> str:
    """Means, the difference, and its 95 % interval over the splits (paired, Student's t)."""
    differences = [one - other for one, other in pairs]
    reach = STUDENT[len(pairs) - 2] * stdev(differences) / sqrt(len(pairs))
    middle = mean(differences)
    return (
        f"{mean(one for one, _ in pairs):.4f} for {mean(other for _, other in pairs):.4f}, "
        f"difference {middle:+.4f} (95 %: {middle - reach:+.4f} to {middle + reach:+.4f}); lower "
        f"in {sum(each < 0 for each in differences)}, higher in "
        f"{sum(each > 0 for each in differences)}, the same in {differences.count(0)}"
    )


if __name__ == "__main__":
    main()
