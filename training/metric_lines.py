"""The one line an epoch that people, logs and tuners read, and how they read it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from training.watch.observer import EpochMetrics, TrainingObserver

_NUMBER = r"([-+0-9.eE]+|nan|inf)"
FILE_NAME = "metrics.jsonl"
NAMES = ("train_loss", "valid_loss", "valid_top1", "valid_top5", "seconds")


def metric_line(metrics: EpochMetrics) -> str:
    """`metrics epoch=3 train_loss=0.1234 valid_loss=0.2345 valid_top1=0.9123 … seconds=1.23`.

    What was not measured is left out.
    """
    values = asdict(metrics)
    decimals = {"seconds": 2}
    fields = [
        f"{name}={values[name]:.{decimals.get(name, 4)}f}"
        for name in NAMES
        if values[name] is not None
    ]
    return f"metrics epoch={metrics.epoch} {' '.join(fields)}"


def metric_json(metrics: EpochMetrics) -> str:
    """The same as one line of JSON, nothing rounded; null for what was not measured."""
    return json.dumps(asdict(metrics))


def metric_regex(name: str) -> str:
    """What finds a metric in the log, with one group: the number. SageMaker's `Regex`.

    Raises:
        ValueError: there is no such metric.
    """
    if name not in NAMES:
        raise ValueError(f"there is no metric {name!r}, only {', '.join(NAMES)}")
    return rf"metrics epoch=[0-9]+ .*\b{name}={_NUMBER}"


def metric_definitions() -> list[dict[str, str]]:
    """`AlgorithmSpecification.MetricDefinitions` of a SageMaker training job."""
    return [{"Name": name, "Regex": metric_regex(name)} for name in NAMES]


class MetricLog(TrainingObserver):
    """Prints the line of every epoch, and keeps all of them in `metrics.jsonl`.

    A training that continues an earlier one begins the file anew, with its own epochs; the export
    of the model writes the whole history.
    """

    def __init__(self, output_dir: Path) -> None:
        output_dir.mkdir(parents=True, exist_ok=True)
        self._file = output_dir / FILE_NAME
        self._file.write_text("", encoding="utf-8")

    def on_epoch(self, metrics: EpochMetrics) -> None:
        print(metric_line(metrics), flush=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"{metric_json(metrics)}\n")
