"""Dead letters: what was given up, why, and the way back into the images queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline.errors import UnknownEventError
from pipeline.refs import ImageRef, parse_queue_body, utc_text

BATCH_MESSAGES = 10  # SQS's most for one call
# While they are looked at nobody else sees them; afterwards they are shown again at once.
LOOK_SECONDS = 300
# SQS asks a part of its servers at a time: an empty answer does not mean an empty queue.
EMPTY_ANSWERS_TO_STOP = 3
DEADLINE_SECONDS = 240  # below LOOK_SECONDS: what is held comes back to nobody meanwhile
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of the dead-letter queue.

    Attributes:
        images: what it speaks of; empty when it is no notification of S3.
        reason: the last error's code or class; `unknown` where SQS moved the message itself,
            because the function ended before it could say.
        attempts: how often the function had it; 0 where that is not known.
        since: when it came to lie there (was dropped, where SQS moved it), UTC, ISO 8601.
    """

    message_id: str
    receipt_handle: str
    body: str
    images: tuple[ImageRef, ...]
    reason: str
    detail: str
    attempts: int
    since: str

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Letter:
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
            since=utc_text(datetime.fromtimestamp(sent, UTC)),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The images' keys, or the message's id where it speaks of none."""
        return tuple(each.key for each in self.images) or (self.message_id,)

    def speaks_of(self, wanted: str) -> bool:
        """Whether that is its id, or a key or address of an image in it."""
        addresses = {each.image for each in self.images}
        return wanted in {self.message_id, *self.names, *addresses}

    def to_json(self) -> dict[str, Any]:
        return {
            "message_id": self.message_id,
            "images": [each.image for each in self.images],
            "versions": [each.version for each in self.images],
            "reason": self.reason,
            "detail": self.detail,
            "attempts": self.attempts,
            "since": self.since,
            "body": self.body,
        }


def _images(body: str) -> tuple[ImageRef, ...]:
    try:
        return tuple(parse_queue_body(body))
    except UnknownEventError:
        return ()


@dataclass(slots=True)
class DeadLetters:
    """The queue of what was given up, and the queue that it came from."""

    sqs: Any
    dead_letter_queue_url: str
    images_queue_url: str
    monotonic: Callable[[], float] = field(default=time.monotonic)
    pause: Callable[[float], None] = field(default=time.sleep)

    def count(self) -> int:
        """About how many there are, by SQS's own estimate, those at work included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(
            QueueUrl=self.dead_letter_queue_url, AttributeNames=names
        )["Attributes"]
        return sum(int(found[name]) for name in names)

    def all(self) -> list[Letter]:
        """Every letter, as far as they come within DEADLINE_SECONDS; they stay where they are."""
        held: list[Letter] = []
        try:
            held.extend(self._receive())
        finally:
            self._show_again(held)
        return held

    def redrive(
        self, matches: Callable[[Letter], bool], rate: float, on_letter: Callable[[Letter], None]
    ) -> int:
        """Sends matching letters back to the images queue and deletes them; how many.

        A letter is sent before it is deleted, so an interruption in between only leaves it there
        too: the image is then classified twice and written once.

        Args:
            rate: letters a second at most.
            on_letter: called after each that was sent.
        """
        sent = 0
        for letter in self._matching(matches):
            self.sqs.send_message(QueueUrl=self.images_queue_url, MessageBody=letter.body)
            self._delete(letter)
            sent += 1
            on_letter(letter)
            self.pause(1 / rate)
        return sent

    def remove(self, matches: Callable[[Letter], bool]) -> int:
        """Deletes matching letters for good; how many."""
        removed = 0
        for letter in self._matching(matches):
            self._delete(letter)
            removed += 1
        return removed

    def _matching(self, matches: Callable[[Letter], bool]) -> Iterator[Letter]:
        """Those that match; the others are shown again in the end."""
        others: list[Letter] = []
        try:
            for letter in self._receive():
                if matches(letter):
                    yield letter
                else:
                    others.append(letter)
        finally:
            self._show_again(others)

    def _delete(self, letter: Letter) -> None:
        self.sqs.delete_message(
            QueueUrl=self.dead_letter_queue_url, ReceiptHandle=letter.receipt_handle
        )

    def _receive(self) -> Iterator[Letter]:
        """Each letter once, as it comes; nobody else sees it until LOOK_SECONDS are over."""
        seen: set[str] = set()
        deadline, empty = self.monotonic() + DEADLINE_SECONDS, 0
        while empty < EMPTY_ANSWERS_TO_STOP and self.monotonic() < deadline:
            found = self.sqs.receive_message(
                QueueUrl=self.dead_letter_queue_url,
                MaxNumberOfMessages=BATCH_MESSAGES,
                VisibilityTimeout=LOOK_SECONDS,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            empty = 0 if found else empty + 1
            for message in found:
                if message["MessageId"] not in seen:
                    seen.add(message["MessageId"])
                    yield Letter.from_message(message)

    def _show_again(self, letters: Sequence[Letter]) -> None:
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
