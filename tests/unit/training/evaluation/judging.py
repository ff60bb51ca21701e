"""Evaluations of the tests' photos."""

from __future__ import annotations

from pathlib import Path

from training.data.dataset import DataSet
from training.evaluation.evaluate import Evaluation, Steps, evaluate

COLOURS = {"blue": (40, 40, 210), "green": (40, 210, 40), "red": (210, 40, 40)}
QUIET = Steps(lambda _what, _count: None, lambda: None)


def judged(
    model: Path, photos: Path, part: str | None = None, *, in_conditions: bool = False
) -> Evaluation:
    """Evaluates a model as the command does."""
    data = DataSet.scan(photos)
    return evaluate(model, data, part, None, QUIET, in_conditions=in_conditions)
