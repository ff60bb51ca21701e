"""Failed messages: back after seconds instead of the visibility timeout, or given up by name."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.events import utc_text

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 10
# Ten receives (the template's maxReceiveCount) of a message that meets a bug then span about 20
# minutes: what never works reaches the dead-letter queue while somebody still looks.
LONGEST_RETRY_SECONDS = 300
# The pauses after each receive that met a passing fault: short faults cost seconds, and a service
# that is dead for an hour loses nothing: less a quarter of chance, they are 3,938 s together: the
# hour, and the breaker's longest pause after it. The count travels with the message, so that it
# holds whichever execution environment gets it.
PASSING_FAULT_SECONDS = (10, 20, 40, 80, 600, 900, 1200, 1200, 1200)
BATCH_MESSAGES = 10  # SQS's limit for one ChangeMessageVisibilityBatch
# SQS limits a batch of messages to 256 KB; ten notifications of 1,024-byte keys are 30 KB.
MAX_REASON_CHARACTERS = 256
MAX_DETAIL_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """A message that SQS shall know again, and why it failed.

    Attributes:
        reason: the error's code, or its class: what people search dead letters by.
        detail: the error's text; never image content.
        retry_after_seconds: not before; 0 for as soon as may be.
        first_receive_ms: when it was had first, since 1970, UTC; 0 where SQS did not say.
        may_pass: the fault was a service's that may come right.
    """

    message_id: str
    receipt_handle: str
    receive_count: int
    body: str
    reason: str
    detail: str
    retry_after_seconds: float = 0.0
    first_receive_ms: int = 0
    may_pass: bool = False


class ImagesQueue:
    """The queue between the bucket and the function, and the one for what was given up.

    Lambda leaves a failed message invisible until the visibility timeout, nine minutes, is over:
    long enough for a whole batch at work, far too long for a photo that met a throttled service.
    """

    def __init__(self, sqs: SQSClient, queue_url: str, dead_letter_queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._dead_letter_queue_url = dead_letter_queue_url

    def give_up(self, messages: Sequence[FailedMessage]) -> set[str]:
        """Sends messages to the dead-letter queue with their reasons; the ids of those that are
        there and may be acknowledged.

        SQS would do it at the next receive, but moves a message as it is: nobody could tell why it
        lies there. Never raises: what is not sent here, SQS moves.
        """
        there: set[str] = set()
        for start in range(0, len(messages), BATCH_MESSAGES):
            batch = messages[start : start + BATCH_MESSAGES]
            try:
                response = self._sqs.send_message_batch(
                    QueueUrl=self._dead_letter_queue_url,
                    Entries=[
                        {
                            "Id": str(index),
                            "MessageBody": each.body,
                            "MessageAttributes": _why(each),
                        }
                        for index, each in enumerate(batch)
                    ],
                )
            except (ClientError, BotoCoreError) as error:
                logger.warning("dead letters go without a reason: %s", error)
                continue
            there |= {batch[int(each["Id"])].message_id for each in response.get("Successful", [])}
            for failure in response.get("Failed", []):
                message_id = batch[int(failure["Id"])].message_id
                logger.warning("%s goes without a reason: %s", message_id, failure["Code"])
        return there

    def retry_soon(self, messages: Sequence[FailedMessage]) -> None:
        """Spreads the retries, each later than the one before it: `retry_seconds`.

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
                            "VisibilityTimeout": retry_seconds(
                                each.receive_count,
                                each.retry_after_seconds,
                                may_pass=each.may_pass,
                            ),
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


def retry_seconds(
    receive_count: int, not_before_seconds: float = 0.0, *, may_pass: bool = False
) -> int:
    """Seconds until the next try, with chance in them, so that a burst does not come back.

    A bug's doubles with each receive, half of it by chance; a passing fault's is that of
    PASSING_FAULT_SECONDS, less up to a quarter. A pause that is longer is kept, and spread by a
    quarter of itself.
    """
    if may_pass:
        longest = PASSING_FAULT_SECONDS[min(receive_count, len(PASSING_FAULT_SECONDS)) - 1]
        least = longest - longest // 4
    else:
        longest = min(FIRST_RETRY_SECONDS * 2 ** (receive_count - 1), LONGEST_RETRY_SECONDS)
        least = longest - longest // 2
    spread = random.randint(least, longest)  # noqa: S311 - spreads load, keeps no secret
    pause = int(not_before_seconds * (1 + random.random() / 4)) + 1  # noqa: S311 - as above
    return max(spread, pause if not_before_seconds > 0 else 0)


def _why(message: FailedMessage) -> dict[str, MessageAttributeValueTypeDef]:
    """Attributes of a dead letter. SQS takes no empty texts, and only some control characters."""
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
