"""The epoch that a training keeps against the best one, on photos that it did not see.

    .venv/bin/python -m bench.kept_epoch --data FOLDER … [--splits 10]

Each split holds a fifth of the photos out and trains on the rest as `imagedrop train` does. After
every epoch the head is measured on the photos held out: at the epoch of the lowest validation loss,
which is kept; at the one with the most validation photos right, which was kept before; at the last;
and at the one that is best there, which is unknown in practice.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import mean

from torch import optim

from bench.tuned_against_defaults import Measured, measured, with_test_part
from training.loop.prepared import Prepared, prepare
from training.networks.network import TransferNetwork
from training.settings import TrainSettings
from training.train import fit
from training.watch.observer import EpochMetrics, TrainingObserver

RULES = ("kept", "most right", "last", "best there")


class EachEpoch(TrainingObserver):
    """Measures the head after every epoch."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self.measured: list[Measured] = []

    def on_begin(
        self, network: TransferNetwork, optimizer: optim.Optimizer, settings: TrainSettings
    ) -> None:
        self._network = network

    def on_epoch(self, metrics: EpochMetrics) -> None:
        self.measured.append(measured(self._prepared, self._network.head))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--feature-cache", type=Path)
    options = parser.parse_args()
    for folder in options.data:
        settings = TrainSettings(
            data=folder, backbone=options.backbone, feature_cache=options.feature_cache
        )
        prepared = prepare(settings)
        print(f"{folder}: {len(prepared.images)} photos, {options.splits} splits")
        splits = [one_split(prepared, settings, seed + 1) for seed in range(options.splits)]
        for rule in RULES:
            each = [split[rule] for split in splits]
            print(
                f"  {rule:11} epoch {min(epoch for epoch, _ in each)} to "
                f"{max(epoch for epoch, _ in each)}, log loss "
                f"{mean(found.log_loss for _, found in each):.3f}, ECE "
                f"{mean(found.ece for _, found in each):.3f}, top-1 "
                f"{mean(found.top1 for _, found in each):.3f}"
            )


def one_split(
    prepared: Prepared, settings: TrainSettings, seed: int
) -> dict[str, tuple[int, Measured]]:
    """The epoch of each rule and what was measured there."""
    held = with_test_part(prepared, seed)
    watched = EachEpoch(held)
    fitted = fit(held, replace(settings, seed=seed), [watched])
    most_right = max(
        fitted.history, key=lambda each: (each.valid_top1 or 0, -(each.valid_loss or 0))
    )
    best = min(range(len(watched.measured)), key=lambda at: watched.measured[at].log_loss)
    epochs = (fitted.metrics.epoch, most_right.epoch, len(watched.measured), best + 1)
    return {
        rule: (epoch, watched.measured[epoch - 1])
        for rule, epoch in zip(RULES, epochs, strict=True)
    }


if __name__ == "__main__":
    main()
