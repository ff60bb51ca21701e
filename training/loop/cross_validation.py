"""Cross-validates a training: every photo is answered by a model that was not trained on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from training.data.partition import Partition, cross_validation
from training.loop.checkpoint import Checkpoint, Fold
from training.loop.fitting import fit_once
from training.loop.prepared import Prepared
from training.settings import TrainSettings
from training.statistics.out_of_fold import OutOfFold
from training.watch.observer import EpochMetrics


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """The folds of one or more cross-validations, one for each seed."""

    folds: tuple[EpochMetrics, ...]
    """The last epoch of each fold; those of the first seed come first."""
    answers: OutOfFold
    everything: Partition
    """All images of the folds, to learn from."""


def cross_validate(
    prepared: Prepared,
    settings: TrainSettings,
    checkpoint: Checkpoint,
    on_fold: Callable[[int, EpochMetrics], None],
) -> CrossValidated:
    """Runs `settings.seeds` cross-validations of `settings.folds` folds; resumes after a fold.

    A fold counts at its last epoch: choosing one by the photos that measure it would flatter it.
    Each seed has its own folds, heads and orders.

    Args:
        on_fold: called with the number of a fold that has ended, from 1, and its last epoch.
    """
    done: list[Fold] = list(checkpoint.folds)
    splits: list[list[Partition]] = []
    for seed in seeds_of(settings):
        chosen = replace(settings, seed=seed)
        parts, everything = cross_validation(
            prepared.images, settings.folds, seed, prepared.first_alike
        )
        splits.append(parts)
        for part in parts[max(0, len(done) - settings.folds * (len(splits) - 1)) :]:
            fitted = fit_once(prepared, chosen, part, (), Checkpoint(None, ""))
            if fitted.logits is None:
                raise RuntimeError("a fold has no images")
            done.append(Fold(fitted.state.history[-1], fitted.logits))
            checkpoint.save_fold(done[-1])
            on_fold(len(done), done[-1].metrics)
    return CrossValidated(
        tuple(fold.metrics for fold in done),
        _answers(prepared, settings, splits, done),
        everything,
    )


def seeds_of(settings: TrainSettings) -> range:
    """The seeds of the cross-validations: the training's own, and those after it."""
    return range(settings.seed, settings.seed + settings.seeds)


def _answers(
    prepared: Prepared,
    settings: TrainSettings,
    splits: Sequence[Sequence[Partition]],
    done: Sequence[Fold],
) -> OutOfFold:
    rows = sorted(row for part in splits[0] for row in part.valid)
    place = {row: number for number, row in enumerate(rows)}
    fold_of = np.zeros((len(splits), len(rows)), np.int64)
    logits = np.zeros((len(splits), len(rows), len(prepared.data.classes)), np.float32)
    for repeat, parts in enumerate(splits):
        for number, part in enumerate(parts):
            places = [place[row] for row in part.valid]
            fold_of[repeat, places] = number
            logits[repeat, places] = done[repeat * settings.folds + number].logits.numpy()
    return kept_answers(prepared, rows, logits, fold_of, tuple(seeds_of(settings)))


def validation_answers(
    prepared: Prepared, parts: Partition, logits: torch.Tensor, seed: int
) -> OutOfFold:
    """The answers of a training without folds to its validation images."""
    fold_of = np.zeros((1, len(parts.valid)), np.int64)
    found = kept_answers(prepared, parts.valid, logits.numpy()[None], fold_of, (seed,))
    return replace(found, kind="validation")


def kept_answers(
    prepared: Prepared,
    rows: Sequence[int],
    logits: np.ndarray[tuple[int, int, int], np.dtype[np.float32]],
    fold_of: np.ndarray[tuple[int, int], np.dtype[np.int64]],
    seeds: tuple[int, ...],
) -> OutOfFold:
    """Names the photos of answers of folds; `rows` are indices of the prepared images."""
    images = [prepared.images[row] for row in rows]
    return OutOfFold(
        kind="folds",
        labels=prepared.data.classes,
        paths=tuple(prepared.data.name_of(image) for image in images),
        digests=tuple(prepared.digests[row] for row in rows),
        truth=np.array([image.class_index for image in images], np.int64),
        seeds=seeds,
        fold=fold_of,
        logits=logits,
    )
