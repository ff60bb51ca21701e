"""Failed messages: returned to the queue with a delay, or given up with a reason."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pipeline.errors import TransientError

FIRST_RETRY_SECONDS = 10
# With these, the ten receives (the template's maxReceiveCount) of a message that meets a bug take
# about 20 minutes: it reaches the dead-letter queue while people are still watching.
LONGEST_RETRY_SECONDS = 300
# The delays after each receive that met a transient fault. Short faults cost seconds, and an outage
# of an hour loses nothing: even less a random quarter they add up to 3,938 s, the hour and the
# breaker's longest pause after it. SQS counts the receives, so every execution environment agrees.
TRANSIENT_FAULT_SECONDS = (10, 20, 40, 80, 600, 900, 1200, 1200, 1200)
BATCH_MESSAGES = 10  # SQS's limit for one batch call

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """A message that failed: its receipt handle for SQS, and the reason.

    Attributes:
        reason: the error's code or class, by which people search dead letters.
        detail: the error's text; never content of an image.
        retry_after_seconds: not before; 0 for as soon as possible.
        first_receive_ms: when it was first received, since 1970, UTC; 0 where SQS did not say.
        is_transient: a service failed; a later try may succeed.
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
    """The queue, and its dead-letter queue."""

    def give_up(self, messages: Sequence[FailedMessage]) -> set[str]:
        """Sends at most ten to the dead-letter queue; returns the ids of the sent ones."""

    def retry_soon(self, messages: Sequence[FailedMessage]) -> None:
        """Delays at most ten messages by ``retry_seconds``."""


def failed_message(message: Mapping[str, Any], error: Exception, reason: str) -> FailedMessage:
    """Makes a FailedMessage of a message in Lambda's form.

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


def failed_messages(
    messages: Iterable[Mapping[str, Any]],
    errors: Mapping[str, Exception],
    reason_of: Callable[[Exception], str],
) -> list[FailedMessage]:
    """Returns the messages that failed, in Lambda's order.

    Args:
        errors: each failed message's error, by message id.
    """
    return [
        failed_message(message, error, reason_of(error))
        for message in messages
        if (error := errors.get(message["messageId"]))
    ]


def last_tries(messages: Sequence[FailedMessage], max_receives: int) -> list[FailedMessage]:
    """Returns those that SQS would move to the dead-letter queue instead of delivering again."""
    return [each for each in messages if each.receive_count >= max_receives]


def send_back(
    queue: Queue,
    messages: Sequence[FailedMessage],
    last: Sequence[FailedMessage],
    too_late: Callable[[], bool],
) -> list[str]:
    """Gives up the ``last`` messages and delays the others; returns the ids of those to retry.

    When no time is left for calls of the queue, SQS does both later and without a reason.
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
    """Yields at most ten at a time, SQS's limit for one call."""
    for start in range(0, len(items), BATCH_MESSAGES):
        yield items[start : start + BATCH_MESSAGES]


def retry_seconds(
    receive_count: int, not_before_seconds: float = 0.0, *, is_transient: bool = False
) -> int:
    """Returns the seconds until the next try, partly random to spread out a burst.

    After a bug they double with each receive, and half is random. After a transient fault they are
    those of TRANSIENT_FAULT_SECONDS, less up to a quarter. A longer ``retry_after_seconds`` is
    kept, plus up to a quarter.
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
