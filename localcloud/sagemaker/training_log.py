"""The output of a training: written to a file and CloudWatch Logs, searched for metrics."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from localcloud import aws
from localcloud.sagemaker.state import now

logger = logging.getLogger(__name__)

GROUP = "/aws/sagemaker/TrainingJobs"
FLUSH_SECONDS = 1.0
EVENTS_PER_CALL = 1_000
MAX_EVENT_CHARACTERS = 200_000  # CloudWatch Logs takes 256 KB of UTF-8


class LogService:
    """The local cloud's CloudWatch Logs; blocking calls."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._known: set[str] = set()

    @cached_property
    def _client(self) -> Any:  # made when it is needed: it takes time to start
        config = Config(retries={"mode": "standard"}, connect_timeout=5)
        return aws.client("logs", self._endpoint_url, config)

    def put(self, stream: str, events: Sequence[dict[str, Any]]) -> None:
        """Append to a stream of the group; group and stream are created when they are missing."""
        if stream not in self._known:
            self._make(self._client.create_log_group, logGroupName=GROUP)
            self._make(self._client.create_log_stream, logGroupName=GROUP, logStreamName=stream)
            self._known.add(stream)
        for start in range(0, len(events), EVENTS_PER_CALL):
            self._client.put_log_events(
                logGroupName=GROUP,
                logStreamName=stream,
                logEvents=list(events[start : start + EVENTS_PER_CALL]),
            )

    def _make(self, operation: Any, **names: str) -> None:
        try:
            operation(**names)
        except self._client.exceptions.ResourceAlreadyExistsException:
            return


class JobLog:
    """One job's lines. The file has all of them, even when CloudWatch Logs is unreachable."""

    def __init__(
        self, path: Path, service: LogService, stream: str, definitions: Sequence[Mapping[str, str]]
    ) -> None:
        self._path, self._service, self._stream = path, service, stream
        self._regexes = {each["Name"]: re.compile(each["Regex"]) for each in definitions}
        self._waiting: list[dict[str, Any]] = []
        self.metrics: dict[str, dict[str, Any]] = {}
        """The last value of each metric, as a member of FinalMetricDataList."""
        path.parent.mkdir(parents=True, exist_ok=True)

    def append(self, line: str) -> None:
        """Record a line, and the metrics that the job's regexes find in it."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        # CloudWatch refuses an event with an empty message.
        message = line[:MAX_EVENT_CHARACTERS] or " "
        self._waiting.append({"timestamp": round(time.time() * 1000), "message": message})
        for name, regex in self._regexes.items():
            if found := regex.search(line):
                self._note(name, found.group(1))

    async def flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Send the waiting lines. As on SageMaker, a failure does not stop the training."""
        events, self._waiting = self._waiting, []
        if not events:
            return
        try:
            await asyncio.to_thread(self._service.put, self._stream, events)
        except (ClientError, BotoCoreError) as error:
            logger.warning(
                "%s: %d lines are in %s only: %s", self._stream, len(events), self._path, error
            )

    def _note(self, name: str, text: str) -> None:
        try:
            value = float(text)
        except ValueError:
            return  # CloudWatch ignores values that are not numbers, too
        self.metrics[name] = {"MetricName": name, "Value": value, "Timestamp": now()}
