"""What the bulk functions work with; clients are those of ``wiring``."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from bulk.run import BulkRun, RunFiles
from bulk.work_bucket import WorkBucket
from handlers import wiring
from pipeline.adapters.images_bucket import ImagesBucket


@cache
def work_bucket() -> WorkBucket:
    return WorkBucket(wiring.client("s3"), os.environ["WORK_BUCKET"])


@cache
def images_bucket() -> ImagesBucket:
    return ImagesBucket(wiring.client("s3"))


def bulk_run(event: dict[str, Any]) -> BulkRun:
    """The run that the execution's input names, as it was written down when it began.

    Raises:
        LookupError: the listing has not written it.
    """
    files = RunFiles(event["input"]["run"])
    written = work_bucket().read_json(files.run_json)
    if written is None:
        raise LookupError(f"there is no {files.run_json}")
    return BulkRun.from_json(written)


def state(run: str, **more: Any) -> dict[str, Any]:
    """What every state of the workflow gets to know beside the execution's input."""
    return {
        "run": run,
        "work_bucket": work_bucket().name,
        "concurrency": int(os.environ["BULK_CONCURRENCY"]),
        **more,
    }
