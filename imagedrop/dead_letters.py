"""Dead letters: what was given up, why, and the way back into the images queue."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline.errors import UnknownEventError
from pipeline.events import ImageRef, parse_queue_body, utc_text

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
        first_tried_at: when the function had it first, UTC, ISO 8601; None where not known.
        since: when it came to lie there (was dropped, where SQS moved it), UTC, ISO 8601.
        logged_as: the message's id in the images queue, which the function's log calls it by.
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
            first_tried_at=why.get("first_tried_at"),
            since=utc_text(datetime.fromtimestamp(sent, UTC)),
            # What SQS moved has kept its id.
            logged_as=why.get("message_id", message["MessageId"]),
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


def each_once(found: Iterable[Letter]) -> list[Letter]:
    """Without letters that say nothing new: an image whose function ended between sending the
    letter and acknowledging lies there twice, the second time without a reason.

    Another version of an image, or another event of it, is something new.
    """
    told: set[ImageRef | str] = set()
    kept: list[Letter] = []
    for letter in sorted(found, key=lambda each: (each.reason == UNKNOWN, each.since)):
        said: set[ImageRef | str] = set(letter.images) or {letter.body}
        if not said <= told:
            kept.append(letter)
            told |= said
    return sorted(kept, key=lambda each: each.since)


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
            held.extend(self._receive(self._deadline()))
        finally:
            self._show_again(held)
        return held

    def redrive(
        self, matches: Callable[[Letter], bool], rate: float, on_letter: Callable[[Letter], None]
    ) -> int:
        """Sends matching letters back to the images queue and deletes them; how many.

        A letter is sent before it is deleted, so an interruption in between only leaves it there
        too: the image is then classified twice and written once. Looks again until nothing
        matches: at a low rate, one look is too short for all.

        Args:
            rate: letters a second at most.
            on_letter: called after each that was sent.
        """

        def send(letter: Letter) -> None:
            self.sqs.send_message(QueueUrl=self.images_queue_url, MessageBody=letter.body)
            self._delete(letter)
            on_letter(letter)
            self.pause(1 / rate)

        return self._each_matching(matches, send)

    def remove(self, matches: Callable[[Letter], bool]) -> int:
        """Deletes matching letters for good; how many."""
        return self._each_matching(matches, self._delete)

    def _each_matching(
        self, matches: Callable[[Letter], bool], take: Callable[[Letter], None]
    ) -> int:
        """Takes those that match, and shows the others again; how many it took."""
        taken = 0
        while True:
            deadline, taken_before = self._deadline(), taken
            others: list[Letter] = []
            try:
                with closing(self._receive(deadline)) as found:
                    for letter in found:
                        if matches(letter):
                            take(letter)
                            taken += 1
                        else:
                            others.append(letter)
            finally:
                self._show_again(others)
            if self.monotonic() < deadline or taken == taken_before:
                return taken

    def _deadline(self) -> float:
        return self.monotonic() + DEADLINE_SECONDS

    def _delete(self, letter: Letter) -> None:
        self.sqs.delete_message(
            QueueUrl=self.dead_letter_queue_url, ReceiptHandle=letter.receipt_handle
        )

    def _receive(self, deadline: float) -> Generator[Letter, None, None]:
        """Each letter once, as it comes; nobody else sees it until LOOK_SECONDS are over. Those
        that are not taken when this is closed are shown again."""
        seen: set[str] = set()
        empty = 0
        while empty < EMPTY_ANSWERS_TO_STOP and self.monotonic() < deadline:
            found = self.sqs.receive_message(
                QueueUrl=self.dead_letter_queue_url,
                MaxNumberOfMessages=BATCH_MESSAGES,
                VisibilityTimeout=LOOK_SECONDS,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            empty = 0 if found else empty + 1
            fresh = deque(
                Letter.from_message(each) for each in found if each["MessageId"] not in seen
            )
            seen |= {each.message_id for each in fresh}
            try:
                while fresh:
                    yield fresh.popleft()
            finally:
                self._show_again(list(fresh))

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
