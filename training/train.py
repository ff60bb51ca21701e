"""Train a classifier on a folder of photos: `python -m training.train`, `imagedrop train`.

`train` is the whole way; `prepare`, `fit` and `export` are its parts, for those who train many
times over the same features (the tuner) or do not need a model (the inspection).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from training.dataset import DataSet
from training.observer import EpochMetrics, TrainingObserver
from training.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is the same for every training with these data, this backbone and these weights."""

    data: DataSet


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network."""

    network: nn.Module
    metrics: EpochMetrics
    """Of the epoch whose weights were kept; with folds: the mean over the folds' last epochs."""
    history: tuple[EpochMetrics, ...]


@dataclass(frozen=True, slots=True)
class TrainResult:
    metrics: EpochMetrics
    history: tuple[EpochMetrics, ...]
    model_dir: Path
    classes: tuple[str, ...]
    seconds: float


def train(settings: TrainSettings, callbacks: Sequence[TrainingObserver] = ()) -> TrainResult:
    """Everything from the folder to the servable model.

    Raises:
        TrainingError: something that its user can put right.
        StopTraining: an observer ended it; nothing is exported.
    """
    prepared = prepare(settings)
    return export(prepared, fit(prepared, settings, callbacks), settings)


def prepare(settings: TrainSettings) -> Prepared:
    """Scans the data, loads the backbone, computes (or reads) its features."""
    raise NotImplementedError


def fit(
    prepared: Prepared, settings: TrainSettings, callbacks: Sequence[TrainingObserver] = ()
) -> Fitted:
    """Trains; `prepared` stays as it is and may be used again, also with other hyperparameters."""
    raise NotImplementedError


def export(prepared: Prepared, fitted: Fitted, settings: TrainSettings) -> TrainResult:
    """Writes the archive's content and the records."""
    raise NotImplementedError
