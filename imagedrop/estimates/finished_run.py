"""Estimates the cost of a finished bulk run from its report and the prices; not a bill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagedrop.estimates import prices
from imagedrop.estimates.changes import changes_cost
from imagedrop.estimates.stack import LAMBDA_MEGABYTES, ORDER_WRITES_PER_IMAGE, WRITES_PER_IMAGE

MILLION = 1e6


def run_cost(report: Mapping[str, Any]) -> dict[str, float]:
    """Returns US dollars by item, and ``together``.

    A transform job on a machine of unknown price counts as 0.

    Args:
        report: ``report.json`` (``bulk.report.Report``).
    """
    parts = {
        "functions": sum(report["function_seconds"].values())
        * LAMBDA_MEGABYTES
        / 1024
        * prices.LAMBDA_GB_SECOND.dollars,
        "transform": _transform_dollars(report["instance_type"], report["instance_hours"]),
        "table": _table_dollars(report),
        "objects": _objects_dollars(report),
        "history and counters": 0.0 if "comparison" in report else changes_cost(_prepared(report)),
    }
    rounded = {name: round(dollars, 6) for name, dollars in parts.items()}
    return rounded | {"together": round(sum(parts.values()), 6)}


def _transform_dollars(instance_type: str, hours: float) -> float:
    hourly = prices.TRANSFORM_INSTANCE_HOURS.get(instance_type)
    return hours * hourly.dollars if hourly else 0.0


def _table_dollars(report: Mapping[str, Any]) -> float:
    compares = "comparison" in report  # and writes no row
    each = 0 if compares else WRITES_PER_IMAGE + ORDER_WRITES_PER_IMAGE
    writes = _prepared(report) * each * prices.TABLE_MILLION_WRITES.dollars
    return float(writes + report["listed"] * prices.TABLE_MILLION_READS.dollars) / MILLION


def _objects_dollars(report: Mapping[str, Any]) -> float:
    """Returns the dollars for S3 requests.

    An image is read once. A shard is three objects written and read, and so is an image of a
    direct run: its file for the job, and the job's output.
    """
    objects = _prepared(report) if report["direct"] else report["shards"]
    each = 3 * prices.S3_MILLION_PUTS.dollars + 3 * prices.S3_MILLION_GETS.dollars
    return float(_prepared(report) * prices.S3_MILLION_GETS.dollars + objects * each) / MILLION


def _prepared(report: Mapping[str, Any]) -> int:
    return int(report["classified"] + report["rejected"])
