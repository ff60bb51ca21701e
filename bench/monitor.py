"""Measures a training's monitor by its interval: python -m bench.monitor [--data PHOTOS].

Each interval trains a head for 100 epochs, or fine-tunes the last stage for two, over the same
features; repeated in shuffled order. Two figures each: the monitor's own clock, and the CPU time
of the phase against the runs without a monitor, which does not use that clock. One thread,
because threads that wait for each other count as CPU time.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from training.loop.prepared import Prepared, prepare
from training.settings import TrainSettings
from training.train import fit
from training.watch.monitor import Monitor
from training.watch.observations import DEFAULT_INTERVAL, read_observations
from training.watch.observer import Phase, TrainingObserver

INTERVALS = (0, 1, 10, DEFAULT_INTERVAL)


@dataclass(frozen=True, slots=True)
class Run:
    """CPU seconds of each phase, and the monitor's own account of both."""

    cpu: dict[Phase, float]
    own_share: float


class PhaseCpu(TrainingObserver):
    """CPU time of each phase, between its first and its last step."""

    def __init__(self) -> None:
        self.seconds: dict[Phase, float] = {}
        self._began: dict[Phase, float] = {}

    def on_step(self, phase: Phase, step: int, loss: Tensor) -> None:
        began = self._began.setdefault(phase, process_time())
        self.seconds[phase] = process_time() - began


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--data", type=Path, help="class/PHOTO; 128 noisy pictures by default")
    options.add_argument("--repeats", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        settings = TrainSettings(
            data=given.data or draw(folder / "photos"),
            output_dir=folder,
            feature_cache=folder / "features",
            backbone="efficientnet_lite0",
        )
        prepared = prepare(settings)
        torch.set_num_threads(1)
        head = replace(settings, epochs=100)
        print_runs("head", "head", measure(prepared, head, given.repeats))
        layer4 = replace(settings, epochs=1, unfreeze="layer4", finetune_epochs=2)
        print_runs("layer4", "finetune", measure(prepared, layer4, given.repeats))


def draw(folder: Path) -> Path:
    """Two classes of 64 pictures."""
    for label in ("bright", "dark"):
        (folder / label).mkdir(parents=True)
        for number in range(64):
            noise = np.random.default_rng(number).integers(0, 128, (256, 256, 3), dtype=np.uint8)
            Image.fromarray(noise + np.uint8(127 * (label == "bright"))).save(
                folder / label / f"{number}.png"
            )
    return folder


def measure(prepared: Prepared, settings: TrainSettings, repeats: int) -> dict[int, list[Run]]:
    """By interval; 0 is without a monitor."""
    order = list(INTERVALS) * repeats
    random.Random(1).shuffle(order)  # noqa: S311 - an order, not a secret
    runs: dict[int, list[Run]] = {interval: [] for interval in INTERVALS}
    for interval in order:
        file = settings.output_dir / "monitor.jsonl"
        clock = PhaseCpu()
        fit(prepared, settings, [*([Monitor(interval, file)] if interval else []), clock])
        cost = read_observations(file).cost if interval else None
        runs[interval].append(Run(clock.seconds, cost.share if cost else 0.0))
    return runs


def print_runs(name: str, phase: Phase, runs: dict[int, list[Run]]) -> None:
    """One line an interval."""
    without = median(run.cpu[phase] for run in runs[0])
    print(f"{name}: {without:.3f} CPU-s without a monitor")
    for interval in INTERVALS[1:]:
        own = median(run.own_share for run in runs[interval])
        cpu = median(run.cpu[phase] for run in runs[interval]) / without - 1
        print(f"  every {interval:>3}: own clock {100 * own:6.2f} %, CPU time {100 * cpu:+6.2f} %")


if __name__ == "__main__":
    main()
