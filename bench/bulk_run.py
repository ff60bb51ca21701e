"""One bulk run over a folder of the images bucket, reconciled by name."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bulk.ledger import Fate
from bulk.work_bucket import WorkBucket
from imagedrop.bulk.reports import RunReports
from imagedrop.bulk.runs import ExecutionStatus, bulk_runs
from imagedrop.estimates.bulk_run import RunSettings
from imagedrop.target import Target

POLL_SECONDS = 0.2


def run_bulk(
    target: Target, made: dict[str, bool], prefix: str, **settings: bool | int
) -> dict[str, Any]:
    """Classifies what is under ``prefix``, and returns the report.

    ``made`` says of each image whether it is broken. Raises SystemExit if the
    run does not complete, or its ledger does not hold each image once.
    """
    run = f"bench-{datetime.now(UTC):%Y%m%dt%H%M%S%f}"[:40]
    runs = bulk_runs(target)
    source = {"kind": "folder", "bucket": target.images_bucket, "prefix": prefix}
    runs.start(
        {
            "run": run,
            "source": source,
            "again": True,
            **asdict(RunSettings(chunk_images=250)),
            **settings,
        }
    )
    while runs.last_execution(run).status is ExecutionStatus.RUNNING:
        time.sleep(POLL_SECONDS)
    reports = RunReports(WorkBucket(target.client("s3"), target.outputs["WorkBucketName"]))
    report = reports.read(run)
    if report["status"] != "COMPLETE":
        raise SystemExit(f"{run}: {report}")
    lines = Counter(
        (each["key"].removeprefix(prefix), each["fate"])
        for each in reports.entries(run, set(Fate) - {Fate.RESUBMITTED})
    )
    expected = {(name, "rejected" if broken else "classified") for name, broken in made.items()}
    if lines != Counter(expected):
        raise SystemExit(f"{run}: the ledger does not hold each image once")
    return dict(report)
