"""Failed messages: retried within seconds, or moved to the dead-letter queue with a reason."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.events import utc_text
from pipeline.retries import FailedMessage, retry_seconds

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

logger = logging.getLogger(__name__)

# SQS limits a batch of messages to 256 KB; ten notifications of 1,024-byte keys are 30 KB.
MAX_REASON_CHARACTERS = 256
MAX_DETAIL_CHARACTERS = 1000


class ImagesQueue:
    """The queue between the bucket and the function, and its dead-letter queue.

    Lambda leaves a failed message invisible until the visibility timeout of nine minutes is over.
    A batch in progress needs that; a photo that met a throttled service should not wait so long.
    """

    def __init__(self, sqs: SQSClient, queue_url: str, dead_letter_queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._dead_letter_queue_url = dead_letter_queue_url

    def give_up(self, messages: Sequence[FailedMessage]) -> set[str]:
        """Sends at most ten messages to the dead-letter queue, each with its reason.

        Returns the ids of the sent ones, which may be acknowledged. Never raises: SQS moves the
        others at their next receive, without a reason.
        """
        try:
            response = self._sqs.send_message_batch(
                QueueUrl=self._dead_letter_queue_url,
                Entries=[
                    {
                        "Id": str(index),
                        "MessageBody": each.body,
                        "MessageAttributes": _why(each),
                    }
                    for index, each in enumerate(messages)
                ],
            )
        except (ClientError, BotoCoreError) as error:
            logger.warning("dead letters are sent without a reason: %s", error)
            return set()
        for failure in response.get("Failed", []):
            message_id = messages[int(failure["Id"])].message_id
            logger.warning("%s is sent without a reason: %s", message_id, failure["Code"])
        return {messages[int(each["Id"])].message_id for each in response.get("Successful", [])}

    def retry_soon(self, messages: Sequence[FailedMessage]) -> None:
        """Makes at most ten messages visible after `retry_seconds`, later after each try.

        Never raises: after an error the messages come back later, at their visibility timeout.
        """
        try:
            response = self._sqs.change_message_visibility_batch(
                QueueUrl=self._queue_url,
                Entries=[
                    {
                        "Id": str(index),
                        "ReceiptHandle": each.receipt_handle,
                        "VisibilityTimeout": retry_seconds(
                            each.receive_count,
                            each.retry_after_seconds,
                            is_transient=each.is_transient,
                        ),
                    }
                    for index, each in enumerate(messages)
                ],
            )
        except (ClientError, BotoCoreError) as error:
            logger.warning("failed messages come back late: %s", error)
            return
        for failure in response.get("Failed", []):
            message_id = messages[int(failure["Id"])].message_id
            logger.warning("message %s comes back late: %s", message_id, failure["Code"])


def _why(message: FailedMessage) -> dict[str, MessageAttributeValueTypeDef]:
    """Returns a dead letter's attributes. SQS allows no empty text and few control characters."""
    texts = {
        "reason": message.reason[:MAX_REASON_CHARACTERS],
        "detail": message.detail[:MAX_DETAIL_CHARACTERS],
        "message_id": message.message_id,
    }
    if message.first_receive_ms:
        first = datetime.fromtimestamp(message.first_receive_ms / 1000, UTC)
        texts["first_tried_at"] = utc_text(first)
    attributes: dict[str, MessageAttributeValueTypeDef] = {
        name: {"DataType": "String", "StringValue": _printable(text)}
        for name, text in texts.items()
        if text
    }
    attributes["attempts"] = {"DataType": "Number", "StringValue": str(message.receive_count)}
    return attributes


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
