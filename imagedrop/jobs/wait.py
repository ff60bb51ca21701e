"""Waiting for a job; whoever stops waiting does not stop the job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from imagedrop.jobs.logs import JobLogs
from imagedrop.jobs.service import Job, Jobs, Kind

POLL_SECONDS = 2.0
LOG_SECONDS = 5.0  # CloudWatch Logs shows lines a little after they were printed


@dataclass(frozen=True, slots=True)
class Seen:
    """A look at a job: how it stands, and what it has printed since the last look."""

    job: Job
    lines: tuple[str, ...]


def follow(
    jobs: Jobs, logs: JobLogs, name: str, poll_seconds: float = POLL_SECONDS
) -> Iterator[Seen]:
    """Look again and again, the last time a while after a training has ended, for its last lines.

    Raises:
        UserError: there is no such job.
    """
    while True:
        job = jobs.find(name)
        yield Seen(job, tuple(logs.new_lines()))
        if not job.is_under_way:
            break
        time.sleep(poll_seconds)
    if job.kind is Kind.TRAINING:
        time.sleep(LOG_SECONDS)
        yield Seen(job, tuple(logs.new_lines()))
