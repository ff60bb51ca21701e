"""Events of training jobs in EventBridge: "SageMaker Training Job State Change".

https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
"""

from __future__ import annotations

import asyncio
import json
import logging
from functools import cached_property
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from localcloud import aws
from localcloud.environments import SERVICE_EVENT_MARK
from localcloud.sagemaker.state import Record

logger = logging.getLogger(__name__)

SOURCE = "aws.sagemaker"
DETAIL_TYPE = "SageMaker Training Job State Change"
_MILLISECONDS = 1000
_TIMES = ("CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime")


class TrainingEvents:
    """The local cloud's EventBridge."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url

    @cached_property
    def _client(self) -> Any:  # made when it is needed: it takes time to start
        config = Config(retries={"mode": "standard"}, connect_timeout=5)
        return aws.client("events", self._endpoint_url, config)

    async def announce(self, job: Record) -> None:
        """Send the job's state as it is now.

        As on AWS, an event that cannot be sent does not affect the job; it is logged.
        """
        try:
            await asyncio.to_thread(self._put, _detail(job), job["TrainingJobArn"])
        except (ClientError, BotoCoreError) as error:
            logger.warning("%s: no event was sent: %s", job["TrainingJobName"], error)

    def _put(self, detail: dict[str, Any], arn: str) -> None:
        answer = self._client.put_events(
            Entries=[
                {
                    "Source": SOURCE,
                    "DetailType": DETAIL_TYPE,
                    "Detail": json.dumps(detail),
                    "Resources": [arn],
                    "TraceHeader": SERVICE_EVENT_MARK,
                }
            ]
        )
        if answer["FailedEntryCount"]:
            logger.warning("%s: EventBridge refused the event: %s", arn, answer["Entries"])


def _detail(job: Record) -> dict[str, Any]:
    """The job as DescribeTrainingJob shows it; times are milliseconds since the epoch."""
    return job | {name: round(job[name] * _MILLISECONDS) for name in _TIMES if name in job}
