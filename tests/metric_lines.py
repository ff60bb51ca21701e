"""Reads the metric lines of a log, as SageMaker does with the regular expressions of a job."""

from __future__ import annotations

import re

from training.tracking.metric_lines import metric_regex


def read_metric(line: str, name: str) -> float | None:
    """The metric of one line of a log; None when the line has none of this name."""
    found = re.search(metric_regex(name), line)
    return None if found is None else float(found.group(1))
