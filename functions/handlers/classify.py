"""``ClassifyFunction``: queue messages in, rows out; failed messages go back to the queue."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from handlers import wiring
from handlers.measuring import count, measure, metrics
from pipeline import log_lines, retries
from pipeline.adapters.service_errors import reason_of
from pipeline.message_batch import oldest_seconds, read_messages
from pipeline.time_budget import TimeBudget

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Classifies the images of an SQS batch; returns the messages to retry."""
    messages, began = event["Records"], time.monotonic()
    measure("OldestSeconds", [oldest_seconds(messages, time.time())])
    budget = TimeBudget(context.get_remaining_time_in_millis)
    batch = read_messages(messages)
    outcomes = wiring.classify_images().run(
        batch.refs, budget.out_of_time, budget.too_late_to_write, budget.too_late_to_read
    )
    say(log_lines.of_messages(batch, outcomes, round(1000 * (time.monotonic() - began))))
    count(log_lines.counts(outcomes))
    count({"Bugs": len(batch.unreadable)})
    measure("DropToRowSeconds", log_lines.row_seconds(outcomes))
    errors = batch.errors({each.ref: each.error for each in outcomes if each.error})
    failed = retries.failed_messages(messages, errors, reason_of)
    if not failed:
        return {"batchItemFailures": []}
    last = retries.last_tries(failed, wiring.settings.max_receives)
    say(log_lines.given_up(each, batch) for each in last)
    count({"GivenUp": len(last)})
    again = retries.send_back(wiring.images_queue(), failed, last, budget.too_late_to_write)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in again]}


def say(lines: Iterable[log_lines.LogLine]) -> None:
    for line in lines:
        getattr(logger, line.level)(line.text, extra=line.fields, exc_info=line.error)
