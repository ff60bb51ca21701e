"""A training job's output from CloudWatch Logs, while it runs and after it has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from imagedrop.jobs.service import Job, Jobs, Kind
from imagedrop.polling import poll

GROUP = "/aws/sagemaker/TrainingJobs"
POLL_SECONDS = 2.0
LOG_SECONDS = 5.0  # CloudWatch Logs shows lines a little after they were printed


class JobLogs:
    """The lines of one training job; each call of ``new_lines`` continues after the last."""

    def __init__(self, logs: Any, job: str) -> None:
        self._logs, self._job = logs, job
        self._tokens: dict[str, str] = {}

    def new_lines(self) -> Iterator[str]:
        """Yields the lines since the last call; none while there is no stream yet."""
        for stream in self._streams():
            yield from self._lines(stream)

    def _streams(self) -> list[str]:
        try:
            found = self._logs.describe_log_streams(
                logGroupName=GROUP, logStreamNamePrefix=f"{self._job}/"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return []  # the first training of an account creates the group
        return sorted(each["logStreamName"] for each in found["logStreams"])

    def _lines(self, stream: str) -> Iterator[str]:
        while True:
            token = self._tokens.get(stream)
            answer = self._logs.get_log_events(
                logGroupName=GROUP,
                logStreamName=stream,
                startFromHead=True,
                **({"nextToken": token} if token else {}),
            )
            yield from (event["message"] for event in answer["events"])
            self._tokens[stream] = answer["nextForwardToken"]
            # A page in the middle of a stream may be empty; only at its end is the token the same.
            if answer["nextForwardToken"] == token:
                return


@dataclass(frozen=True, slots=True)
class Seen:
    """The state of a job, and its output since the last poll."""

    job: Job
    lines: tuple[str, ...]


def follow(jobs: Jobs, logs: JobLogs, name: str) -> Iterator[Seen]:
    """Polls a job until it has ended, and once more for the last lines of a training.

    Raises:
        UserError: there is no such job.
    """

    def look() -> Seen:
        return Seen(jobs.find(name), tuple(logs.new_lines()))

    for seen in poll(look, lambda seen: not seen.job.is_under_way, POLL_SECONDS):
        yield seen
    if seen.job.kind is Kind.TRAINING:
        time.sleep(LOG_SECONDS)
        yield Seen(seen.job, tuple(logs.new_lines()))
