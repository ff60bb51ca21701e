"""Waiting for a run; whoever stops waiting does not stop the run."""

from __future__ import annotations

import time
from collections.abc import Iterator

from imagedrop.bulk.progress import Progress, ProgressReader
from imagedrop.bulk.runs import BulkRuns, ExecutionStatus
from pipeline.errors import TransientError

POLL_SECONDS = 1.0
# Of 100 million images the listings alone take minutes: waiting pauses in proportion.
PAUSE_FACTOR = 4


def follow(runs: BulkRuns, reader: ProgressReader, run: str) -> Iterator[Progress]:
    """How far the run is, again and again, the last time after it has ended.

    Raises:
        UserError: there is no such run.
    """
    progress = Progress()
    while True:
        began = time.monotonic()
        # Before the files: whatever an ended execution wrote is then seen.
        status = runs.last_execution(run).status
        try:
            progress = reader.read()
        except TransientError:
            if status is not ExecutionStatus.RUNNING:
                raise
        yield progress
        if status is not ExecutionStatus.RUNNING:
            return
        time.sleep(max(POLL_SECONDS, PAUSE_FACTOR * (time.monotonic() - began)))
