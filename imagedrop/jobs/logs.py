"""What a training job prints, from CloudWatch Logs, while it runs and afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

GROUP = "/aws/sagemaker/TrainingJobs"


class JobLogs:
    """The lines of one training job; each call of ``new_lines`` goes on where the last ended."""

    def __init__(self, logs: Any, job: str) -> None:
        self._logs, self._job = logs, job
        self._tokens: dict[str, str] = {}

    def new_lines(self) -> Iterator[str]:
        """What has come since; nothing while there is no stream yet."""
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
            return []  # the first training of an account makes the group
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
            # Only the end of a stream gives back the token that it was asked with: a page in the
            # middle may be empty.
            if answer["nextForwardToken"] == token:
                return
