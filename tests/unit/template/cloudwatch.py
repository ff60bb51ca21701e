"""CloudWatch's metrics and the states of its alarms, simulated by AWS's documentation.

Sources, by the names of their pages:

- SQS, "Available CloudWatch metrics for Amazon SQS": ApproximateAgeOfOldestMessage leaves out a
  message that was received three times or more and is still there; every queue metric is reported
  each minute, zeros too, while the queue is active: it holds messages or was called in the last six
  hours.
- CloudWatch, "Using Amazon CloudWatch alarms", "Configuring how CloudWatch alarms treat missing
  data": M of the last N periods must breach; with notBreaching a period without data is fine.
- CloudWatch, "Specification: embedded metric format": values are a metric's data points.
- Lambda, "Types of metrics": functions report metrics only when something happens: there are no
  zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Samples = Sequence[tuple[float, float]]
"""Data points: seconds since the beginning, value."""
Series = Sequence[float | None]
"""One value a period; None where there is no data."""

MINUTE = 60
POISON_RECEIVES = 3
STATISTICS = {"Maximum": max, "Minimum": min, "Sum": sum}


def periods(samples: Samples, statistic: str, period: int, seconds: int) -> Series:
    """Aggregates data points by period."""
    buckets: list[list[float]] = [[] for _ in range(seconds // period)]
    for second, value in samples:
        if second < seconds:
            buckets[int(second // period)].append(value)
    return [STATISTICS[statistic](each) if each else None for each in buckets]


def alarm_fires(alarm: Json, measured: Mapping[str, Samples], seconds: int) -> bool:
    """Returns whether an alarm is in ALARM at any time of these seconds.

    Args:
        alarm: the properties of an ``AWS::CloudWatch::Alarm``.
        measured: data points by the name of the metric.
    """
    samples = measured.get(alarm["MetricName"], ())
    series = periods(samples, alarm["Statistic"], alarm["Period"], seconds)
    window = alarm["EvaluationPeriods"]
    needed = alarm.get("DatapointsToAlarm", window)
    breaches = [_breaches(alarm, each) for each in series]
    return any(
        sum(breaches[max(0, end - window) : end]) >= needed for end in range(1, len(breaches) + 1)
    )


def _breaches(alarm: Json, value: float | None) -> bool:
    if value is None:
        return bool(alarm["TreatMissingData"] == "breaching")
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    return bool(value > alarm["Threshold"])


@dataclass(slots=True)
class Message:
    """One message of a queue, in seconds.

    Attributes:
        received: when, each time.
        deleted: when; None while it is in the queue.
    """

    sent: float
    received: list[float] = field(default_factory=list)
    deleted: float | None = None

    def is_there(self, second: float) -> bool:
        return self.sent <= second and (self.deleted is None or second < self.deleted)

    def is_poison(self, second: float) -> bool:
        return sum(each <= second for each in self.received) >= POISON_RECEIVES


def queue_metrics(messages: Sequence[Message], seconds: int) -> dict[str, Samples]:
    """Returns SQS's metrics of a queue, minute by minute."""
    minutes = range(0, seconds, MINUTE)
    return {
        "ApproximateAgeOfOldestMessage": [
            (minute, _age_of_oldest(messages, minute)) for minute in minutes
        ]
    }


def _age_of_oldest(messages: Sequence[Message], second: float) -> float:
    ages = [
        second - each.sent
        for each in messages
        if each.is_there(second) and not each.is_poison(second)
    ]
    return max(ages, default=0.0)
