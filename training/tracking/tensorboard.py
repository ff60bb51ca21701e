"""Writes a training's curves as files that TensorBoard reads, on request."""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.tracking.metric_lines import NAMES
from training.watch.observer import EpochMetrics, TrainingObserver


class TensorBoardLog(TrainingObserver):
    """A point of each curve after every epoch: `train/loss`, `valid/loss`, `valid/top1` and so on.

    Args:
        folder: of this run; TensorBoard shows the folders beside it in the same charts.

    Raises:
        TrainingError: tensorboardX is not installed.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._writer = _writer(folder)

    def on_epoch(self, metrics: EpochMetrics) -> None:
        values = asdict(metrics)
        for name in NAMES:
            if values[name] is not None:
                self._writer.add_scalar(name.replace("_", "/"), values[name], metrics.epoch)
        # So that a running training can be watched.
        self._writer.flush()

    def on_end(self) -> None:
        self._writer.close()


def _writer(folder: Path) -> Any:
    try:
        module = import_module("tensorboardX")
    except ImportError as error:
        raise TrainingError(
            f"--tensorboard needs tensorboardX, which is not installed here: {error}.",
            "Install it: make train-setup, or pip install tensorboardX",
        ) from error
    return module.SummaryWriter(str(folder))
