"""The interface of everything that watches a training: tuner, monitor, profiler, progress bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor, optim

    from training.networks.network import TransferNetwork
    from training.settings import TrainSettings

Phase = Literal["head", "finetune"]


class StopTraining(Exception):  # noqa: N818 - ends a training as StopIteration ends a loop
    """Raised by an observer's `on_epoch`: the training ends there and exports nothing."""


@dataclass(frozen=True, slots=True)
class StepSeconds:
    """The time of one step by activity: wall time, or a GPU's own."""

    data: float
    """Waiting for the batch; on a GPU the time that it had nothing to compute."""
    forward: float
    """Network and loss."""
    backward: float
    optimizer: float


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """Metrics after an epoch; those of validation are None without validation images."""

    epoch: int
    """From 1, counted through both phases."""
    phase: Phase
    train_loss: float
    """Mean over the epoch's images of the minimised loss, with smoothing and class weights, as it
    was when the image was used."""
    valid_loss: float | None
    """Mean cross entropy, in nats; never smoothed or weighted."""
    valid_top1: float | None
    """0..1."""
    valid_top5: float | None
    """0..1; among the best of all classes when there are fewer than five."""
    seconds: float
    """Wall time of the epoch, validation included."""


class TrainingObserver:
    """Is called during a training, in the training's thread; every method does nothing by default.

    With `--folds` only the final training is observed.
    """

    def on_begin(
        self, network: TransferNetwork, optimizer: optim.Optimizer, settings: TrainSettings
    ) -> None:
        """A phase begins; its optimizer and its trained parameters differ from the other's.

        `network` has `.backbone` and `.head`. In the phase `head` only the head runs, over cached
        features, so hooks on the backbone see nothing.
        """

    def on_step(self, phase: Phase, step: int, loss: Tensor) -> None:
        """The optimizer has stepped; the gradients are still there.

        Args:
            step: from 0, counted through both phases.
            loss: float32 [], without a gradient. Reading its value waits for a GPU.
        """

    def on_steps_timed(self, phase: Phase, first: int, seconds: Sequence[StepSeconds]) -> None:
        """The times of an epoch's steps from step `first` on are known; before its validation."""

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """An epoch has ended; may raise StopTraining."""

    def on_end(self) -> None:
        """The last epoch has ended, or the training was stopped or failed; called once."""

    def on_finish(self) -> None:
        """After `on_end`: everything that follows the last epoch is done, the export included."""
