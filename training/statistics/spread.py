"""How far a cross-validation's figures may be from the truth: over photos, folds and seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.statistics.intervals import mean_interval, wilson_interval
from training.statistics.out_of_fold import OutOfFold, cross_entropy


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure of a cross-validation.

    Attributes:
        mean: over all photos and seeds.
        interval: 95 %, for another sample of as many photos.
        folds: the figure of each fold of each seed.
        seeds: the figure of each seed.
    """

    mean: float
    interval: tuple[float, float]
    folds: tuple[float, ...]
    seeds: tuple[float, ...]

    def text(self, name: str) -> str:
        """The figure in words."""
        low, high = self.interval
        over_seeds = (
            f"; {len(self.seeds)} seeds {min(self.seeds):.4f} to {max(self.seeds):.4f}"
            if len(self.seeds) > 1
            else ""
        )
        return (
            f"{name} {self.mean:.4f} (95 %: {low:.4f} to {high:.4f}; folds "
            f"{min(self.folds):.4f} to {max(self.folds):.4f}{over_seeds})"
        )


@dataclass(frozen=True, slots=True)
class CrossValidationSpread:
    """Of the share that is right, and of the cross entropy in nats."""

    top1: Spread
    log_loss: Spread

    def text(self) -> str:
        """Both in words."""
        return f"{self.top1.text('top-1')}, {self.log_loss.text('log loss')}"


def spread_of(answers: OutOfFold) -> CrossValidationSpread:
    """The spread of the answers of folds."""
    right = (answers.logits.argmax(axis=2) == answers.truth).astype(np.float64)
    losses = np.stack([cross_entropy(logits, answers.truth) for logits in answers.logits])
    count = len(answers.truth)
    return CrossValidationSpread(
        top1=_spread(right, answers, wilson_interval(float(right.mean(axis=0).sum()), count)),
        log_loss=_spread(losses, answers, mean_interval(losses.mean(axis=0))),
    )


def _spread(
    values: npt.NDArray[np.float64], answers: OutOfFold, interval: tuple[float, float]
) -> Spread:
    """Of values [seeds, photos]."""
    return Spread(
        mean=float(values.mean()),
        interval=interval,
        folds=tuple(
            float(row[fold == number].mean())
            for row, fold in zip(values, answers.fold, strict=True)
            for number in np.unique(fold)
        ),
        seeds=tuple(float(row.mean()) for row in values),
    )
