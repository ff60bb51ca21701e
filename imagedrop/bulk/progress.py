"""Following a bulk run until it ends."""

from __future__ import annotations

from collections.abc import Iterator

from bulk.progress import Progress, ProgressReader
from imagedrop.bulk.runs import BulkRuns, ExecutionStatus
from imagedrop.polling import poll
from pipeline.errors import TransientError

POLL_SECONDS = 1.0
# Listing the files of 100 million images takes minutes: the pauses grow in proportion.
PAUSE_FACTOR = 4


def follow_run(runs: BulkRuns, reader: ProgressReader, run: str) -> Iterator[Progress]:
    """Yields a run's progress again and again, the last time after it has ended.

    Raises:
        UserError: there is no such run.
        TransientError: S3 is busy although the run has ended.
    """
    last = Progress()

    def look() -> tuple[Progress, ExecutionStatus]:
        nonlocal last
        # Read before the files, so that an ended execution's files are all counted.
        status = runs.last_execution(run).status
        try:
            last = reader.read()
        except TransientError:
            if status is not ExecutionStatus.RUNNING:
                raise
        return last, status

    looks = poll(
        look, lambda seen: seen[1] is not ExecutionStatus.RUNNING, POLL_SECONDS, PAUSE_FACTOR
    )
    return (progress for progress, _ in looks)
