"""``ClassifyFunction``: queue messages in, rows out; what failed goes back to the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import ClientError

from handlers import wiring
from pipeline.adapters.images_queue import BATCH_MESSAGES, FailedMessage
from pipeline.adapters.service_errors import error_code
from pipeline.classify_images import Outcome
from pipeline.errors import SpecMismatchError, TransientError
from pipeline.events import ImageRef, parse_queue_body

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()

# What Lambda stops in the middle comes again as a whole, after the visibility timeout. So nothing
# begins that may not end in time: a read or an endpoint call (62 s) leaves time for a write after
# it, and a write, or a word to the queue, has its own longest time (9 s).
LAST_START_SECONDS = 73
LAST_WRITE_SECONDS = 10


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """An SQS batch → ``batchItemFailures``, the messages that shall come again."""
    failed: dict[str, Exception] = {}
    refs_of: dict[str, list[ImageRef]] = {}
    for message in event["Records"]:
        try:
            refs_of[message["messageId"]] = parse_queue_body(message["body"])
        except Exception as error:
            logger.exception("unreadable message", message_id=message["messageId"])
            metrics.add_metric("Bugs", MetricUnit.Count, 1)
            failed[message["messageId"]] = error
    refs = [ref for each in refs_of.values() for ref in each]
    outcomes = wiring.classify_images().run(
        refs,
        out_of_time=lambda: wiring.seconds_left(context) < LAST_START_SECONDS,
        too_late_to_write=lambda: wiring.seconds_left(context) < LAST_WRITE_SECONDS,
    )
    for outcome in outcomes:
        report(outcome)
    errors = {outcome.ref: outcome.error for outcome in outcomes if outcome.error is not None}
    for message_id, each in refs_of.items():
        if lost := next((errors[ref] for ref in each if ref in errors), None):
            failed[message_id] = lost
    again = [
        failed_message(message, failed[message["messageId"]])
        for message in event["Records"]
        if message["messageId"] in failed
    ]
    sent_back = send_back(again, lambda: wiring.seconds_left(context) < LAST_WRITE_SECONDS)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in sent_back]}


def send_back(messages: list[FailedMessage], too_late: Callable[[], bool]) -> list[str]:
    """Ids of the messages that shall come again; those at their last try are given up by name.

    When it is too late for words to the queue, SQS does both by itself, later and without a reason.
    """
    if not messages:
        return []
    queue = wiring.images_queue()
    last_tries = [each for each in messages if each.receive_count >= wiring.max_receives()]
    given_up: set[str] = set()
    for start in range(0, len(last_tries), BATCH_MESSAGES):
        if not too_late():
            given_up |= queue.give_up(last_tries[start : start + BATCH_MESSAGES])
    for each in last_tries:
        logger.error("image given up", extra={"message_id": each.message_id, "why": each.reason})
        metrics.add_metric("GivenUp", MetricUnit.Count, 1)
    again = [each for each in messages if each.message_id not in given_up]
    for start in range(0, len(again), BATCH_MESSAGES):
        if not too_late():
            queue.retry_soon(again[start : start + BATCH_MESSAGES])
    return sorted(each.message_id for each in again)


def failed_message(message: dict[str, Any], error: Exception) -> FailedMessage:
    reason, retry_after_seconds = type(error).__name__, 0.0
    if isinstance(error, TransientError):
        reason, retry_after_seconds = error.code, error.retry_after_seconds
    elif isinstance(error, ClientError):
        reason = error_code(error) or reason
    attributes = message["attributes"]
    return FailedMessage(
        message_id=message["messageId"],
        receipt_handle=message["receiptHandle"],
        receive_count=int(attributes["ApproximateReceiveCount"]),
        first_receive_ms=int(attributes.get("ApproximateFirstReceiveTimestamp", "0")),
        body=message["body"],
        reason=reason,
        detail=str(error),
        retry_after_seconds=retry_after_seconds,
        may_pass=isinstance(error, TransientError),
    )


def report(outcome: Outcome) -> None:
    """One log line and one count an image; never its content."""
    ref, record, error = outcome.ref, outcome.record, outcome.error
    about: dict[str, Any] = {"image": ref.image, "version": ref.version, "sequencer": ref.sequencer}
    if isinstance(error, TransientError | SpecMismatchError):
        logger.warning("image failed for now", extra=about | {"error": str(error)})
        count = "TransientFailures"
    elif error is not None:
        logger.error("image failed", extra=about, exc_info=error)
        count = "Bugs"
    elif record is None:
        logger.info("image overtaken in its batch", extra=about)
        count = "Overtaken"
    else:
        verdict = {"label": record.label, "confidence": record.confidence, "reason": record.reason}
        event = f"image {record.status.lower()}" if outcome.written else "image known already"
        logger.info(event, extra=about | verdict)
        count = record.status.capitalize() if outcome.written else "KnownAlready"
    metrics.add_metric(count, MetricUnit.Count, 1)
