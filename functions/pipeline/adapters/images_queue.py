"""Brings failed messages back after seconds instead of the queue's visibility timeout."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 10
# Ten receives (the template's maxReceiveCount) then span about 20 minutes: a service has that long
# to come right, and what never works reaches the dead-letter queue while somebody still looks.
LONGEST_RETRY_SECONDS = 300
BATCH_MESSAGES = 10  # SQS's limit for one ChangeMessageVisibilityBatch


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """What SQS needs to know a message again."""

    message_id: str
    receipt_handle: str
    receive_count: int


class ImagesQueue:
    """The queue between the bucket and the function.

    Lambda leaves a failed message invisible until the visibility timeout, nine minutes, is over:
    long enough for a whole batch at work, far too long for a photo that met a throttled service.
    """

    def __init__(self, sqs: SQSClient, queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url

    def retry_soon(self, messages: Sequence[FailedMessage]) -> None:
        """Spreads the retries, twice as late after each receive.

        Never raises: without it the messages come back all the same, only later.
        """
        for start in range(0, len(messages), BATCH_MESSAGES):
            batch = messages[start : start + BATCH_MESSAGES]
            try:
                response = self._sqs.change_message_visibility_batch(
                    QueueUrl=self._queue_url,
                    Entries=[
                        {
                            "Id": str(index),
                            "ReceiptHandle": each.receipt_handle,
                            "VisibilityTimeout": retry_seconds(each.receive_count),
                        }
                        for index, each in enumerate(batch)
                    ],
                )
            except (ClientError, BotoCoreError) as error:
                logger.warning("failed messages come back late: %s", error)
                return
            for failure in response.get("Failed", []):
                message_id = batch[int(failure["Id"])].message_id
                logger.warning("message %s comes back late: %s", message_id, failure["Code"])


def retry_seconds(receive_count: int) -> int:
    """Half of the doubling delay is fixed, half is chance, so that a burst does not come back."""
    delay: int = min(FIRST_RETRY_SECONDS * 2 ** (receive_count - 1), LONGEST_RETRY_SECONDS)
    return delay // 2 + random.randint(0, delay // 2)  # noqa: S311 - spreads load, keeps no secret
