"""The metrics of a function: a line of the log, which CloudWatch reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

metrics = Metrics()


def count(numbers: Mapping[str, int]) -> None:
    """Adds the counts that are not zero to the metrics."""
    for name, number in numbers.items():
        if number:
            metrics.add_metric(name, MetricUnit.Count, number)


def measure(name: str, seconds: Iterable[float]) -> None:
    """Adds each value to a metric of seconds."""
    for each in seconds:
        metrics.add_metric(name, MetricUnit.Seconds, each)
