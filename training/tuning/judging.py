"""Judges the best trial of a search against the defaults, on photos that the search did not see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.partition import Partition
from training.loop.checkpoint import Checkpoint
from training.loop.fitting import fit_once
from training.loop.prepared import Prepared
from training.settings import TrainSettings
from training.statistics.intervals import mean_interval
from training.statistics.out_of_fold import cross_entropy
from training.tuning.search import Verdict

# Each is trained this often, because a training is random too.
SEEDS = 3

Losses = npt.NDArray[np.float64]


def verdict_of(  # noqa: PLR0913, PLR0917 - two trainings, and what the search says of them
    prepared: Prepared,
    winner: TrainSettings,
    defaults: TrainSettings,
    judged: Partition,
    hyperparameters: dict[str, Any],
    seen: Losses,
) -> Verdict:
    """Trains both on the photos of the search and compares them on the others.

    The winner is better where its losses are lower on the unseen photos by more than chance (the
    95 % interval of the difference), or lower there and, by more than chance, on the photos of the
    search. The latter alone is not enough: of many trials the luckiest looks best.

    Args:
        judged: `train` are the photos of the search; `valid` those that it did not see.
        hyperparameters: the winner's.
        seen: the winner's losses minus the defaults' out of fold, on the photos of the search.
    """
    seen_interval = mean_interval(seen)
    second = _judge(prepared, defaults, judged)
    first = second if winner == defaults else _judge(prepared, winner, judged)
    difference = first[0] - second[0]
    mean, interval = 0.0, (0.0, 0.0)
    if len(difference):
        mean, interval = float(difference.mean()), mean_interval(difference)
    return Verdict(
        winner=hyperparameters,
        winner_is_defaults=winner == defaults,
        is_better=interval[1] < 0 or (mean < 0 and seen_interval[1] < 0),
        photos=len(difference),
        winner_loss=_mean(first[0]),
        defaults_loss=_mean(second[0]),
        winner_top1=first[1],
        defaults_top1=second[1],
        difference=mean,
        interval=interval,
        search_difference=float(seen.mean()),
        search_interval=seen_interval,
    )


def _mean(values: Losses) -> float:
    return float(values.mean()) if len(values) else 0.0


def _judge(prepared: Prepared, settings: TrainSettings, judged: Partition) -> tuple[Losses, float]:
    """The mean loss of each unseen photo over SEEDS trainings, and the mean top-1."""
    if not judged.valid:
        return np.zeros(0), 0.0
    truth = truth_of(prepared, judged)
    seeds = range(settings.seed, settings.seed + SEEDS)
    every = [logits_of(prepared, replace(settings, seed=seed), judged) for seed in seeds]
    losses = np.mean([cross_entropy(logits, truth) for logits in every], axis=0)
    right = [float((logits.argmax(axis=1) == truth).mean()) for logits in every]
    return losses, float(np.mean(right))


def logits_of(
    prepared: Prepared, settings: TrainSettings, parts: Partition
) -> npt.NDArray[np.float32]:
    """Trains on a partition to the last epoch; its answers to the validation photos, [n, c]."""
    fitted = fit_once(prepared, settings, parts, (), Checkpoint(None, ""))
    if fitted.logits is None:
        raise RuntimeError("there are no images to measure with")
    found: npt.NDArray[np.float32] = fitted.logits.numpy()
    return found


def truth_of(prepared: Prepared, parts: Partition) -> npt.NDArray[np.int64]:
    """The classes of the validation photos, int64 [n]."""
    return np.array([prepared.images[row].class_index for row in parts.valid], np.int64)
