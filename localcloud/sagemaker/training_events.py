"""What EventBridge hears of training jobs: "SageMaker Training Job State Change".

https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sagemaker.state import Record

logger = logging.getLogger(__name__)

SOURCE = "aws.sagemaker"
DETAIL_TYPE = "SageMaker Training Job State Change"
# By this the emulator knows that an event of AWS's own comes from here: `emulator/aws_events.py`.
TRACE_HEADER = "sagemaker-stand-in"
_MILLISECONDS = 1000
_TIMES = ("CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime")


class TrainingEvents:
    """The local cloud's EventBridge."""

    def __init__(self, endpoint_url: str, region: str) -> None:
        self._client: Any = botocore.session.get_session().create_client(
            "events",
            region_name=region,
            endpoint_url=endpoint_url,
            aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "test"),
            aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "test"),
            config=Config(proxies={}, retries={"mode": "standard"}, connect_timeout=5),
        )

    async def announce(self, job: Record) -> None:
        """Sends the job's state as it is now. As on AWS, an event is no part of the job: one that
        cannot be sent leaves the job as it is, and a line in the log."""
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
                    "TraceHeader": TRACE_HEADER,
                }
            ]
        )
        if answer["FailedEntryCount"]:
            logger.warning("%s: EventBridge refused the event: %s", arn, answer["Entries"])


def _detail(job: Record) -> dict[str, Any]:
    """The job as DescribeTrainingJob shows it; times are milliseconds since the epoch."""
    return job | {name: round(job[name] * _MILLISECONDS) for name in _TIMES if name in job}
