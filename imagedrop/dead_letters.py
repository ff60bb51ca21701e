"""The dead-letter queue: read its messages, send them back to the images queue, delete them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from imagedrop.target import Target
from imagedrop.unicode_forms import is_same_name
from pipeline.errors import UnknownEventError
from pipeline.events import ImageRef, parse_queue_body, utc_text
from pipeline.retries import BATCH_MESSAGES

# Messages that are read are hidden from other readers for this long, or until they are released.
VISIBILITY_TIMEOUT_SECONDS = 300
# SQS queries some of its servers at a time: an empty answer does not mean an empty queue.
EMPTY_ANSWERS_TO_STOP = 3
# Below the visibility timeout: no message becomes visible while it is held.
DEADLINE_SECONDS = 240
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of the dead-letter queue.

    Attributes:
        images: the images it is about; empty when it is not an S3 notification.
        reason: the last error's code or class; `unknown` when SQS moved the message itself
            because the function ended before it could record a reason.
        attempts: how often the function received it; 0 when unknown.
        first_tried_at: when the function first received it, UTC, ISO 8601; None when unknown.
        since: when it entered the queue (when the image was dropped, if SQS moved the message),
            UTC, ISO 8601.
        logged_as: its message id in the images queue, by which the function's log names it.
    """

    message_id: str
    receipt_handle: str
    body: str
    images: tuple[ImageRef, ...]
    reason: str
    detail: str
    attempts: int
    first_tried_at: str | None
    since: str
    logged_as: str

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> DeadLetter:
        """Reads a message of `ReceiveMessage` with all its attributes."""
        why = {
            name: each["StringValue"] for name, each in message.get("MessageAttributes", {}).items()
        }
        sent = int(message["Attributes"]["SentTimestamp"]) / 1000
        return cls(
            message_id=message["MessageId"],
            receipt_handle=message["ReceiptHandle"],
            body=message["Body"],
            images=_images(message["Body"]),
            reason=why.get("reason", UNKNOWN),
            detail=why.get("detail", ""),
            attempts=int(why.get("attempts", "0")),
            first_tried_at=why.get("first_tried_at"),
            since=utc_text(datetime.fromtimestamp(sent, UTC)),
            # A message that SQS moved keeps its id.
            logged_as=why.get("message_id", message["MessageId"]),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The images' keys, or the message's id when it is about none."""
        return tuple(each.key for each in self.images) or (self.message_id,)

    def is_about(self, wanted: str) -> bool:
        """Returns whether `wanted` is its id, or the key or address of one of its images.

        Names in other Unicode forms count too: people who type one cannot see the difference.
        """
        names = (self.message_id, *self.names, *(each.image for each in self.images))
        return any(is_same_name(wanted, each) for each in names)

    def to_json(self) -> dict[str, Any]:
        """Returns all attributes as JSON values."""
        return {
            "message_id": self.message_id,
            "images": [each.image for each in self.images],
            "versions": [each.version for each in self.images],
            "reason": self.reason,
            "detail": self.detail,
            "attempts": self.attempts,
            "first_tried_at": self.first_tried_at,
            "since": self.since,
            "logged_as": self.logged_as,
            "body": self.body,
        }


def _images(body: str) -> tuple[ImageRef, ...]:
    try:
        return tuple(parse_queue_body(body))
    except UnknownEventError:
        return ()


def without_repeats(found: Iterable[DeadLetter]) -> list[DeadLetter]:
    """Removes redundant dead letters, oldest first.

    A function that ends between sending a dead letter and acknowledging the message leaves the
    image in the queue twice, the second time without a reason. Another version of an image, or
    another event of it, is kept.
    """
    seen: set[ImageRef | str] = set()
    kept: list[DeadLetter] = []
    for letter in sorted(found, key=lambda each: (each.reason == UNKNOWN, each.since)):
        content: set[ImageRef | str] = set(letter.images) or {letter.body}
        if not content <= seen:
            kept.append(letter)
            seen |= content
    return sorted(kept, key=lambda each: each.since)


@dataclass(slots=True)
class DeadLetters:
    """The dead-letter queue, and the images queue that its messages come from."""

    sqs: Any
    dead_letter_queue_url: str
    images_queue_url: str
    monotonic: Callable[[], float] = field(default=time.monotonic)
    pause: Callable[[float], None] = field(default=time.sleep)

    def count(self) -> int:
        """Returns about how many messages there are, by SQS's estimate, hidden ones included."""
        return queue_length(self.sqs, self.dead_letter_queue_url)

    def all(self) -> list[DeadLetter]:
        """Reads all messages that arrive within DEADLINE_SECONDS, and leaves them in the queue."""
        held: list[DeadLetter] = []
        try:
            held.extend(self._receive(self._deadline()))
        finally:
            self._release(held)
        return held

    def redrive(
        self,
        matches: Callable[[DeadLetter], bool],
        rate: float,
        on_letter: Callable[[DeadLetter], None],
    ) -> int:
        """Sends matching messages back to the images queue, deletes them, and counts them.

        A message is sent before it is deleted, so an interruption in between leaves it in both
        queues: the image is classified twice and written once. Reads the queue again until nothing
        matches, because a low rate can take longer than the deadline of one reading.

        Args:
            rate: messages a second at most.
            on_letter: called after each that was sent.
        """

        def send(letter: DeadLetter) -> None:
            self.sqs.send_message(QueueUrl=self.images_queue_url, MessageBody=letter.body)
            self._delete(letter)
            on_letter(letter)
            self.pause(1 / rate)

        return self._each_matching(matches, send)

    def remove(self, matches: Callable[[DeadLetter], bool]) -> int:
        """Deletes matching messages permanently, and counts them."""
        return self._each_matching(matches, self._delete)

    def _each_matching(
        self, matches: Callable[[DeadLetter], bool], take: Callable[[DeadLetter], None]
    ) -> int:
        """Calls `take` with each matching message, counts the calls, and releases the others."""
        taken = 0
        while True:
            deadline, taken_before = self._deadline(), taken
            others: list[DeadLetter] = []
            try:
                with closing(self._receive(deadline)) as found:
                    for letter in found:
                        if matches(letter):
                            take(letter)
                            taken += 1
                        else:
                            others.append(letter)
            finally:
                self._release(others)
            if self.monotonic() < deadline or taken == taken_before:
                return taken

    def _deadline(self) -> float:
        return self.monotonic() + DEADLINE_SECONDS

    def _delete(self, letter: DeadLetter) -> None:
        self.sqs.delete_message(
            QueueUrl=self.dead_letter_queue_url, ReceiptHandle=letter.receipt_handle
        )

    def _receive(self, deadline: float) -> Generator[DeadLetter, None, None]:
        """Yields each message once, hidden from other readers; closing it releases the rest."""
        seen: set[str] = set()
        empty = 0
        while empty < EMPTY_ANSWERS_TO_STOP and self.monotonic() < deadline:
            found = self.sqs.receive_message(
                QueueUrl=self.dead_letter_queue_url,
                MaxNumberOfMessages=BATCH_MESSAGES,
                VisibilityTimeout=VISIBILITY_TIMEOUT_SECONDS,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            empty = 0 if found else empty + 1
            fresh = deque(
                DeadLetter.from_message(each) for each in found if each["MessageId"] not in seen
            )
            seen |= {each.message_id for each in fresh}
            try:
                while fresh:
                    yield fresh.popleft()
            finally:
                self._release(list(fresh))

    def _release(self, letters: Sequence[DeadLetter]) -> None:
        for start in range(0, len(letters), BATCH_MESSAGES):
            self.sqs.change_message_visibility_batch(
                QueueUrl=self.dead_letter_queue_url,
                Entries=[
                    {
                        "Id": str(index),
                        "ReceiptHandle": each.receipt_handle,
                        "VisibilityTimeout": 0,
                    }
                    for index, each in enumerate(letters[start : start + BATCH_MESSAGES])
                ],
            )


def dead_letters_of(target: Target) -> DeadLetters:
    """Returns the dead letters of a stack."""
    queues = target.outputs["DeadLetterQueueUrl"], target.outputs["ImagesQueueUrl"]
    return DeadLetters(target.client("sqs"), *queues)


def queue_length(sqs: Any, queue_url: str) -> int:
    """Returns about how many messages a queue holds, by SQS's estimate, hidden ones included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)
