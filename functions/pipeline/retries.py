"""What happens to a message that failed: back to the queue with a delay, or given up by name."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pipeline.errors import TransientError

FIRST_RETRY_SECONDS = 10
# Ten receives (the template's maxReceiveCount) of a message that meets a bug then span about 20
# minutes: what never works reaches the dead-letter queue while people are still watching.
LONGEST_RETRY_SECONDS = 300
# The delays after each receive that met a transient fault: short faults cost seconds, and a service
# that is dead for an hour loses nothing: less a random quarter, they are 3,938 s together: the
# hour, and the breaker's longest pause after it. The count travels with the message, so that it
# holds in whichever execution environment gets it.
TRANSIENT_FAULT_SECONDS = (10, 20, 40, 80, 600, 900, 1200, 1200, 1200)
BATCH_MESSAGES = 10  # SQS's limit for one batch call

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """A message that failed, with what SQS needs to find it again, and why it failed.

    Attributes:
        reason: the error's code, or its class: what people search dead letters by.
        detail: the error's text; never image content.
        retry_after_seconds: not before; 0 for as soon as possible.
        first_receive_ms: when it was first received, since 1970, UTC; 0 where SQS did not say.
        is_transient: the fault was a service's, which a later try may not meet.
    """

    message_id: str
    receipt_handle: str
    receive_count: int
    body: str
    reason: str
    detail: str
    retry_after_seconds: float = 0.0
    first_receive_ms: int = 0
    is_transient: bool = False


class Queue(Protocol):
    """The queue that messages go back to, and the one for those that are given up."""

    def give_up(self, messages: Sequence[FailedMessage]) -> set[str]:
        """Sends at most ten to the dead-letter queue; the ids of those that are there now."""

    def retry_soon(self, messages: Sequence[FailedMessage]) -> None:
        """Delays at most ten messages by ``retry_seconds``."""


def failed_message(message: Mapping[str, Any], error: Exception, reason: str) -> FailedMessage:
    """What failed, from the message as Lambda passes it on.

    Args:
        reason: the error's code or class (``service_errors.reason_of``).
    """
    attributes = message["attributes"]
    return FailedMessage(
        message_id=message["messageId"],
        receipt_handle=message["receiptHandle"],
        receive_count=int(attributes["ApproximateReceiveCount"]),
        first_receive_ms=int(attributes.get("ApproximateFirstReceiveTimestamp", "0")),
        body=message["body"],
        reason=reason,
        detail=str(error),
        retry_after_seconds=(
            error.retry_after_seconds if isinstance(error, TransientError) else 0.0
        ),
        is_transient=isinstance(error, TransientError),
    )


def last_tries(messages: Sequence[FailedMessage], max_receives: int) -> list[FailedMessage]:
    """Those that SQS would move to the dead-letter queue instead of delivering them again."""
    return [each for each in messages if each.receive_count >= max_receives]


def send_back(
    queue: Queue,
    messages: Sequence[FailedMessage],
    last: Sequence[FailedMessage],
    too_late: Callable[[], bool],
) -> list[str]:
    """Gives up the ``last`` messages and delays the others; the ids of those to retry.

    When it is too late for calls of the queue, SQS does both by itself, later and without a reason.
    """
    given_up: set[str] = set()
    for batch in batches(last):
        if not too_late():
            given_up |= queue.give_up(batch)
    again = [each for each in messages if each.message_id not in given_up]
    for batch in batches(again):
        if not too_late():
            queue.retry_soon(batch)
    return sorted(each.message_id for each in again)


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """At most ten at a time, which is what SQS takes in one call."""
    for start in range(0, len(items), BATCH_MESSAGES):
        yield items[start : start + BATCH_MESSAGES]


def retry_seconds(
    receive_count: int, not_before_seconds: float = 0.0, *, is_transient: bool = False
) -> int:
    """Seconds until the next try, partly random, so that a burst does not come back as a burst.

    After a bug it doubles with each receive, half of it random; after a transient fault it is that
    of TRANSIENT_FAULT_SECONDS, less up to a quarter. A pause that is longer is kept, and spread by
    a quarter of itself.
    """
    if is_transient:
        longest = TRANSIENT_FAULT_SECONDS[min(receive_count, len(TRANSIENT_FAULT_SECONDS)) - 1]
        least = longest - longest // 4
    else:
        longest = min(FIRST_RETRY_SECONDS * 2 ** (receive_count - 1), LONGEST_RETRY_SECONDS)
        least = longest - longest // 2
    spread = random.randint(least, longest)  # noqa: S311 - spreads load, keeps no secret
    pause = int(not_before_seconds * (1 + random.random() / 4)) + 1  # noqa: S311 - as above
    return max(spread, pause if not_before_seconds > 0 else 0)
