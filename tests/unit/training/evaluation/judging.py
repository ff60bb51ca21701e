"""Evaluations of the tests' photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from training.data.dataset import DataSet
from training.evaluation.evaluate import Evaluation, evaluate

COLOURS = {"blue": (40, 40, 210), "green": (40, 210, 40), "red": (210, 40, 40)}


def quietly(_what: str, _count: int) -> Callable[[], None]:
    return lambda: None


def judged(
    model: Path, photos: Path, part: str | None = None, *, in_conditions: bool = False
) -> Evaluation:
    """Evaluates a model as the command does."""
    data = DataSet.scan(photos)
    return evaluate(model, data, part, None, quietly, in_conditions=in_conditions)
