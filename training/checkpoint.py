"""What an interrupted training leaves behind, so that the next one continues instead of starting.

One file, replaced after every epoch. SageMaker copies `/opt/ml/checkpoints` to S3 all the time and
back before the next attempt, and gives a spot instance no more than two minutes' notice.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from training.errors import TrainingError
from training.phase import PhasePlan, PhaseState
from training.watch.observer import EpochMetrics, Phase

log = logging.getLogger(__name__)

FILE_NAME = "training.pt"


class Checkpoint:
    """The file in a folder, or nothing at all without a folder.

    Args:
        identity: what makes two trainings the same one.

    Raises:
        OSError: the folder cannot be made or the file not read.
        TrainingError: the file is that of another training, or is damaged.
    """

    def __init__(self, folder: Path | None, identity: str) -> None:
        self._file = None if folder is None else folder / FILE_NAME
        self._identity = identity
        self._saved: dict[str, Any] = {"folds": [], "phase": None}
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            if self._file.exists():
                self._saved = _read(self._file, identity)

    @property
    def phase(self) -> Phase | None:
        """The phase that it was saved in; None before the first epoch of all."""
        phase: Phase | None = self._saved["phase"]
        return phase

    @property
    def folds(self) -> list[EpochMetrics]:
        """How the finished folds of a cross-validation ended."""
        return [EpochMetrics(**metrics) for metrics in self._saved["folds"]]

    def state(self) -> PhaseState:
        """How far the training had come."""
        if self.phase is None:
            return PhaseState()
        history = [EpochMetrics(**metrics) for metrics in self._saved["history"]]
        log.info("continuing after epoch %d, as %s says", history[-1].epoch, self._file)
        return PhaseState(
            self._saved["step"],
            history,
            EpochMetrics(**self._saved["best"]),
            self._saved["best_weights"],
        )

    def restore(self, plan: PhasePlan) -> None:
        """Puts weights and optimizer of the saved phase back into the plan of that phase."""
        plan.module.load_state_dict(self._saved["weights"])
        plan.optimizer.load_state_dict(self._saved["optimizer"])

    def save(self, plan: PhasePlan, state: PhaseState) -> None:
        """Keeps an epoch that has just ended."""
        self._saved |= {
            "phase": plan.name,
            "step": state.step,
            "history": [asdict(metrics) for metrics in state.history],
            "best": asdict(state.kept),
            "best_weights": state.best_weights,
            "weights": plan.module.state_dict(),
            "optimizer": plan.optimizer.state_dict(),
        }
        self._write()

    def save_fold(self, metrics: EpochMetrics) -> None:
        """Keeps a fold that has just ended."""
        self._saved["folds"].append(asdict(metrics))
        self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        unfinished = self._file.with_suffix(".unfinished")
        with unfinished.open("wb") as opened:
            torch.save({"identity": self._identity, **self._saved}, opened)
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.replace(self._file)


def _read(file: Path, identity: str) -> dict[str, Any]:
    next_step = f"Remove {file} to start anew, or give another --checkpoint-dir."
    try:
        saved: Mapping[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"The checkpoint {file} is damaged: {error}.", next_step) from error
    if saved.get("identity") != identity:
        raise TrainingError(
            f"The checkpoint {file} is that of a training with other data or settings.", next_step
        )
    return {name: value for name, value in saved.items() if name != "identity"}
