"""Checkpoints, from which an interrupted training resumes.

One file is replaced after every epoch. SageMaker copies `/opt/ml/checkpoints` to S3 continuously
and back before the next attempt; it announces the end of a spot instance two minutes before.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training import parallel
from training.errors import TrainingError
from training.loop.phase import PhasePlan, PhaseState
from training.watch.observer import EpochMetrics, Phase

log = logging.getLogger(__name__)

FILE_NAME = "training.pt"


@dataclass(frozen=True, slots=True)
class Fold:
    """A finished fold of a cross-validation."""

    metrics: EpochMetrics
    """Of its last epoch."""
    logits: Tensor
    """Its answers to the photos that it did not learn from, float32 [n, classes]."""


class Checkpoint:
    """The checkpoint of a training; without a folder it keeps nothing.

    Args:
        identity: identifies the trainings that may resume each other's checkpoints.

    Raises:
        OSError: the folder cannot be created, or the file cannot be read.
        TrainingError: the file belongs to another training, or is damaged.
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
        """The phase of the saved epoch; None before the first epoch."""
        phase: Phase | None = self._saved["phase"]
        return phase

    @property
    def folds(self) -> list[Fold]:
        """The finished folds of a cross-validation."""
        return [
            Fold(EpochMetrics(**saved["metrics"]), saved["logits"])
            for saved in self._saved["folds"]
        ]

    def split_together(self, found: Sequence[int]) -> tuple[int, ...]:
        """Which photos a split keeps together: those of the training's start, else `found`.

        Another machine's features differ in their last bits, and other photos could look alike: the
        training would continue with another split.

        Args:
            found: for each photo the index of the first that looks the same.

        Raises:
            TrainingError: the training began with another number of photos.
        """
        kept: Sequence[int] = self._saved.setdefault("first_alike", list(found))
        if len(kept) != len(found):
            raise TrainingError(
                f"The checkpoint {self._file} was made with {len(kept)} photos; here {len(found)} "
                "photos of the same data set can be read.",
                f"Remove {self._file} to start again, or continue on the machine where it began.",
            )
        return tuple(kept)

    def state(self) -> PhaseState:
        """The saved progress, or that of a new training."""
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
        """Loads the saved weights and optimizer into the plan of the saved phase."""
        plan.module.load_state_dict(self._saved["weights"])
        plan.optimizer.load_state_dict(self._saved["optimizer"])

    def save(self, plan: PhasePlan, state: PhaseState) -> None:
        """Saves an epoch that has just ended."""
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

    def save_fold(self, fold: Fold) -> None:
        """Saves a fold that has just ended."""
        self._saved["folds"].append({"metrics": asdict(fold.metrics), "logits": fold.logits})
        self._write()

    def _write(self) -> None:
        if self._file is None or not parallel.is_first():
            return
        unfinished = self._file.with_suffix(".unfinished")
        with unfinished.open("wb") as opened:
            torch.save({"identity": self._identity, **self._saved}, opened)
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.replace(self._file)


def _read(file: Path, identity: str) -> dict[str, Any]:
    next_step = f"Remove {file} to start again, or give another --checkpoint-dir."
    try:
        saved: Mapping[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"The checkpoint {file} is damaged: {error}.", next_step) from error
    if saved.get("identity") != identity:
        raise TrainingError(
            f"The checkpoint {file} belongs to a training with other data or settings.", next_step
        )
    return {name: value for name, value in saved.items() if name != "identity"}
