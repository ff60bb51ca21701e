"""Compares ways to fit a temperature to few photos: python -m bench.temperatures --data PHOTOS.

Trains heads on random parts of the photos in three ways (the defaults, too short, too fast), fits a
temperature on few validation photos, and judges it by 45 others: the calibration error and the log
loss, means over the splits.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from training.data.partition import Partition
from training.loop.phase import PhaseState, run_phase
from training.loop.plans import head_plan
from training.loop.prepared import Prepared, prepare
from training.networks.network import new_head
from training.settings import TrainSettings
from training.statistics import metrics

JUDGED, FITTED = 45, (36, 16)
RECIPES = ((20, 0.01), (4, 0.01), (6, 0.035))  # epochs, learning rate

Fit = Callable[[metrics.Floats, metrics.Ints], float]


def platt(probabilities: metrics.Floats, truth: metrics.Ints) -> float:
    """The former fit: J. Platt (1999), section 2.2, targets of (n + 1) / (n + 2)."""
    count, rows = len(truth), np.arange(len(truth))
    rivals = np.array(probabilities, np.float64)
    rivals[rows, truth] = -1
    targets = np.zeros(rivals.shape)
    targets[rows, truth] = (count + 1) / (count + 2)
    targets[rows, rivals.argmax(axis=1)] = 1 / (count + 2)
    candidates = np.exp(np.linspace(math.log(0.05), math.log(20), 600))
    losses = [
        -(targets * np.log(np.maximum(metrics.tempered(probabilities, each), 1e-300))).sum()
        for each in candidates
    ]
    return float(candidates[int(np.argmin(losses))])


FITS: dict[str, Fit] = {
    "none": lambda _probabilities, _truth: 1.0,
    "platt": platt,
    "prior": metrics.fit_temperature,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="class/PHOTO")
    parser.add_argument("--splits", type=int, default=12)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        settings = TrainSettings(
            data=given.data, backbone="efficientnet_lite0", output_dir=Path(temporary)
        )
        prepared = prepare(settings)
        for fitted in FITTED:
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in FITS}
            for probabilities, truth in trained(prepared, settings, given.splits):
                few, many = slice(JUDGED, JUDGED + fitted), slice(0, JUDGED)
                for name, fit in FITS.items():
                    after = metrics.tempered(
                        probabilities[many], fit(probabilities[few], truth[few])
                    )
                    own = np.maximum(after[np.arange(JUDGED), truth[many]], 1e-30)
                    error = metrics.expected_calibration_error(after, truth[many])
                    found[name].append((error, float(-np.log(own).mean())))
            for name, values in found.items():
                error, loss = np.mean(values, axis=0)
                print(f"fitted on {fitted}: {name:6} ECE {error:.3f}, log loss {loss:.3f}")


def trained(
    prepared: Prepared, settings: TrainSettings, splits: int
) -> Iterator[tuple[metrics.Floats, metrics.Ints]]:
    """Yields probabilities and classes of photos that a head did not learn from."""
    truth = prepared.labels.numpy()
    for epochs, rate in RECIPES:
        for seed in range(splits):
            places = np.random.default_rng(seed).permutation(len(truth)).tolist()
            kept = JUDGED + max(FITTED)
            parts = Partition(tuple(places[kept:]), ())
            used = replace(settings, epochs=epochs, lr=rate, seed=seed + 1)
            features = prepared.features.values
            head = new_head(
                prepared.network, len(prepared.data.classes), used.seed, features[places[kept:]]
            )
            plan = head_plan(prepared.network.with_head(head), prepared, used, parts)
            run_phase(plan, PhaseState(), (), lambda *_: None)
            with torch.inference_mode():
                answers = head.eval()(features[places[:kept]]).softmax(dim=1)
            yield answers.numpy(), truth[places[:kept]]


if __name__ == "__main__":
    main()
