"""The line of metrics per epoch, and the regular expressions that read it from a log."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from training.watch.observer import EpochMetrics, TrainingObserver

_NUMBER = r"([-+0-9.eE]+|nan|inf)"
FILE_NAME = "metrics.jsonl"
NAMES = ("train_loss", "valid_loss", "valid_top1", "valid_top5", "seconds")


def metric_line(metrics: EpochMetrics) -> str:
    """Formats a line such as `metrics epoch=3 train_loss=0.1234 valid_loss=0.2345 … seconds=1.23`.

    Metrics that were not measured are left out.
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
    """Formats one line of JSON, without rounding; null for metrics that were not measured."""
    return json.dumps(asdict(metrics))


def metric_regex(name: str) -> str:
    """The regular expression of a metric, for SageMaker's `Regex`; its group is the number.

    Raises:
        ValueError: the metric does not exist.
    """
    if name not in NAMES:
        raise ValueError(f"there is no metric {name!r}, only {', '.join(NAMES)}")
    return rf"metrics epoch=[0-9]+ .*\b{name}={_NUMBER}"


def metric_definitions() -> list[dict[str, str]]:
    """`AlgorithmSpecification.MetricDefinitions` of a SageMaker training job."""
    return [{"Name": name, "Regex": metric_regex(name)} for name in NAMES]


class MetricLog(TrainingObserver):
    """Prints the line of every epoch, and writes all of them to `metrics.jsonl`.

    A resumed training begins the file again with its own epochs; the export of the model writes
    the whole history.
    """

    def __init__(self, output_dir: Path) -> None:
        output_dir.mkdir(parents=True, exist_ok=True)
        self._file = output_dir / FILE_NAME
        self._file.write_text("", encoding="utf-8")

    def on_epoch(self, metrics: EpochMetrics) -> None:
        print(metric_line(metrics), flush=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"{metric_json(metrics)}\n")
