"""Augmentation from whole photos against that from prepared pixels, on photos held out.

    .venv/bin/python -m bench.augmentation --data FOLDER [--splits 8] [--unfreeze layer4]

Each split holds a fifth of the photos out and fine-tunes on the rest in both ways, one after the
other, with the same seed, split and head. The last fine-tuned epoch is measured, whichever is kept:
if the head alone has the lower validation loss, a training keeps that, and both ways give the same
model. Prints both for every split, and the mean difference with its interval over the splits.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time

import numpy as np
import torch
from torch import optim

from bench.tuned_against_defaults import Measured, summary, with_test_part
from training.data.batches import PhotoBatches, Photos
from training.loop.prepared import Prepared, prepare
from training.networks.network import TransferNetwork
from training.settings import TrainSettings
from training.statistics.metrics import expected_calibration_error
from training.statistics.out_of_fold import cross_entropy, softmax
from training.train import fit
from training.watch.observer import EpochMetrics, TrainingObserver

WAYS = ("photo", "prepared")


@dataclass(frozen=True, slots=True)
class Tuned:
    """A fine-tuned network on photos held out.

    Attributes:
        measured: of the last epoch.
        is_kept: whether a training keeps a fine-tuned epoch, and not the head alone.
        seconds: CPU time of the training.
    """

    measured: Measured
    is_kept: bool
    seconds: float

    def __str__(self) -> str:
        kept = "" if self.is_kept else " (the head alone is kept)"
        return (
            f"log loss {self.measured.log_loss:.3f}, top-1 {self.measured.top1:.3f}{kept}, "
            f"{self.seconds:.0f} s of CPU"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--unfreeze", default="layer4")
    parser.add_argument("--finetune-epochs", type=int, default=5)
    parser.add_argument("--finetune-lr", type=float, default=1e-4)
    parser.add_argument("--splits", type=int, default=8)
    parser.add_argument("--feature-cache", type=Path)
    options = vars(parser.parse_args())
    splits = options.pop("splits")
    settings = TrainSettings(**options)
    prepared = prepare(settings)
    print(f"{settings.data}: {len(prepared.images)} photos, {splits} splits, {options}")
    found: dict[str, list[Tuned]] = {way: [] for way in WAYS}
    for seed in range(1, splits + 1):
        held = with_test_part(prepared, seed)
        for way in WAYS if seed % 2 else reversed(WAYS):
            found[way].append(tuned(held, replace(settings, seed=seed, augment_from=way)))
        print(f"  split {seed}: {'; '.join(f'{way} {found[way][-1]}' for way in WAYS)}", flush=True)
    for way in WAYS:
        print(f"  {way}: fine-tuned epochs kept in {sum(each.is_kept for each in found[way])}")
    for name in ("log_loss", "top1", "ece"):
        both = [[getattr(each.measured, name) for each in found[way]] for way in WAYS]
        print(f"  {name}: {summary(list(zip(*both, strict=True)))}")


class LastEpoch(TrainingObserver):
    """Measures the network on the part test after the last epoch."""

    def __init__(self, prepared: Prepared, settings: TrainSettings) -> None:
        self._prepared, self._settings = prepared, settings
        self.measured: Measured | None = None

    def on_begin(
        self, network: TransferNetwork, optimizer: optim.Optimizer, settings: TrainSettings
    ) -> None:
        self._network = network

    def on_epoch(self, metrics: EpochMetrics) -> None:
        if metrics.epoch == self._settings.epochs + self._settings.finetune_epochs:
            self.measured = measured(self._prepared, self._settings, self._network)


def tuned(prepared: Prepared, settings: TrainSettings) -> Tuned:
    """Fine-tunes, and measures on the part test."""
    last = LastEpoch(prepared, settings)
    began = process_time()
    fitted = fit(prepared, settings, [last])
    seconds = process_time() - began
    assert last.measured is not None
    return Tuned(last.measured, fitted.metrics.phase == "finetune", seconds)


def measured(prepared: Prepared, settings: TrainSettings, network: TransferNetwork) -> Measured:
    images = [image for image in prepared.images if image.split == "test"]
    photos = Photos(images, prepared.spec, augment=False)
    batches = PhotoBatches(photos, settings.batch_size, prepared.device, training=False)
    network.eval()
    with torch.inference_mode():
        logits = np.concatenate([network(inputs).cpu().numpy() for inputs, _ in batches()])
    truth = np.array([image.class_index for image in images], np.int64)
    return Measured(
        log_loss=float(cross_entropy(logits, truth).mean()),
        top1=float((logits.argmax(axis=1) == truth).mean()),
        ece=expected_calibration_error(softmax(logits), truth),
    )


if __name__ == "__main__":
    main()
