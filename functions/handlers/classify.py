"""``ClassifyFunction``: queue messages in, rows out; failed messages go back to the queue."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from handlers import wiring
from pipeline import log_lines, retries
from pipeline.adapters.service_errors import reason_of
from pipeline.message_batch import oldest_seconds, read_messages

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()

# If Lambda times out, the whole batch is retried after the visibility timeout, so we never start
# work that might not finish: a read or an endpoint call (62 s) leaves time for a write after it,
# and a write or a call of the queue takes 9 s at most.
LAST_START_SECONDS = 73
# Reads stop earlier: those that have begun, four of at most 2 s of CPU each, end before the
# endpoint must be called, and a slow batch sends the images that it has.
LAST_READ_SECONDS = 82
LAST_WRITE_SECONDS = 10


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Classifies the images of an SQS batch; returns the messages to retry."""
    age_seconds = oldest_seconds(event["Records"], time.time())
    metrics.add_metric("OldestSeconds", MetricUnit.Seconds, age_seconds)
    began = time.monotonic()
    batch = read_messages(event["Records"])
    say(log_lines.unreadable(*each) for each in batch.unreadable.items())
    outcomes = wiring.classify_images().run(
        batch.refs,
        out_of_time=wiring.deadline(context, LAST_START_SECONDS),
        too_late_to_write=wiring.deadline(context, LAST_WRITE_SECONDS),
        too_late_to_read=wiring.deadline(context, LAST_READ_SECONDS),
    )
    ids = batch.ids
    say(log_lines.failed(each, ids[each.ref]) for each in outcomes if each.error is not None)
    say([log_lines.batch(outcomes, round(1000 * (time.monotonic() - began)))])
    count(log_lines.counts(outcomes))
    count({"Bugs": len(batch.unreadable)})
    errors = batch.errors({each.ref: each.error for each in outcomes if each.error is not None})
    failed = [
        retries.failed_message(message, error, reason_of(error))
        for message in event["Records"]
        if (error := errors.get(message["messageId"]))
    ]
    if not failed:
        return {"batchItemFailures": []}
    last = retries.last_tries(failed, wiring.settings.max_receives)
    say(log_lines.given_up(each) for each in last)
    count({"GivenUp": len(last)})
    too_late = wiring.deadline(context, LAST_WRITE_SECONDS)
    again = retries.send_back(wiring.images_queue(), failed, last, too_late)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in again]}


def say(lines: Iterable[log_lines.LogLine]) -> None:
    for line in lines:
        getattr(logger, line.level)(line.text, extra=line.fields, exc_info=line.error)


def count(numbers: Mapping[str, int]) -> None:
    """Adds to the metrics what is not zero."""
    for name, number in numbers.items():
        if number:
            metrics.add_metric(name, MetricUnit.Count, number)
