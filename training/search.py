"""The space of a search for hyperparameters and its result, for local searches and tuning jobs.

It imports no torch: a machine without torch starts tuning jobs and reads their results.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from training.errors import TrainingError

if TYPE_CHECKING:
    import optuna

OBJECTIVE = "valid_top1"
LOW_HIGH = "Give the lower value first, above zero."


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """The search space: learning rates (logarithmic), batch sizes, numbers of epochs.

    Raises:
        TrainingError: a range is empty or not positive.
    """

    lr: tuple[float, float] = (0.001, 0.1)
    batch_sizes: tuple[int, ...] = (16, 32, 64)
    epochs: tuple[int, int] = (2, 6)

    def __post_init__(self) -> None:
        if not 0 < self.lr[0] <= self.lr[1]:
            raise TrainingError(f"Learning rates from {self.lr[0]} to {self.lr[1]}.", LOW_HIGH)
        if not 1 <= self.epochs[0] <= self.epochs[1]:
            raise TrainingError(f"Epochs from {self.epochs[0]} to {self.epochs[1]}.", LOW_HIGH)
        if not self.batch_sizes or min(self.batch_sizes) < 1:
            raise TrainingError(f"Batch sizes {self.batch_sizes}.", "Give sizes of 1 or more.")

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Asks Optuna for the next hyperparameters, by the names of `TrainSettings`."""
        return {
            "lr": trial.suggest_float("lr", *self.lr, log=True),
            "batch_size": trial.suggest_categorical("batch_size", list(self.batch_sizes)),
            "epochs": trial.suggest_int("epochs", *self.epochs),
        }


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One training of the search; ``value`` is None if it failed before its first epoch."""

    number: int
    hyperparameters: dict[str, Any]
    value: float | None
    status: str  # complete, pruned, failed
    seconds: float
    intermediate: tuple[float, ...]  # the objective after each epoch


@dataclass(frozen=True, slots=True)
class Tuning:
    """The result of a local search or a tuning job: the content of ``tuning.json``."""

    best: dict[str, Any]
    value: float
    objective: str
    strategy: str
    space: dict[str, Any]
    trials: tuple[TrialResult, ...]

    @property
    def space_names(self) -> tuple[str, ...]:
        """The hyperparameters that were searched, by the names of `TrainSettings`."""
        return tuple(self.best)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
