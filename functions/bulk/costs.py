"""What a run cost, from what its steps measured and the prices; an estimate, not a bill."""

from __future__ import annotations

from typing import Any

from bulk import prices
from bulk.ledger import Fate, Sums
from bulk.run import BulkRun

FUNCTION_GB = 1.769  # MemorySize of the functions that prepare and record
INDEXED_WRITES = 3  # the table and its two indexes


def estimated_cost(run: BulkRun, total: Sums, jobs: list[dict[str, Any]]) -> dict[str, float]:
    """Dollars by what they are paid for, and ``together``."""
    millions = 1e-6
    prepared = total.fates[Fate.CLASSIFIED] + total.fates[Fate.REJECTED]
    # An image is read once; a shard is three objects written and read, as is an image of a
    # direct run: its file for the job, and the job's output.
    objects = prepared if run.direct else total.shards
    hours = sum(job["seconds"] or 0.0 for job in jobs) * run.instance_count / 3600
    hourly = prices.TRANSFORM_INSTANCE_HOURS.get(run.instance_type)
    parts = {
        "functions": (total.prepare_seconds + total.record_seconds)
        * FUNCTION_GB
        * prices.LAMBDA_GB_SECOND.dollars,
        "transform": hours * hourly.dollars if hourly else 0.0,
        "table": prepared * INDEXED_WRITES * prices.TABLE_MILLION_WRITES.dollars * millions
        + total.listed * prices.TABLE_MILLION_READS.dollars * millions,
        "objects": (
            prepared * prices.S3_MILLION_GETS.dollars
            + objects * (3 * prices.S3_MILLION_PUTS.dollars + 3 * prices.S3_MILLION_GETS.dollars)
        )
        * millions,
    }
    return {name: round(value, 6) for name, value in parts.items()} | {
        "together": round(sum(parts.values()), 6)
    }
