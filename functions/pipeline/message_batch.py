"""A batch of queue messages: the images that they name, and the messages that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.events import ImageRef, parse_queue_body


@dataclass(frozen=True, slots=True)
class MessageBatch:
    """The references of each readable message and the error of each unreadable one, by id."""

    refs_by_id: dict[str, list[ImageRef]] = field(default_factory=dict)
    unreadable: dict[str, Exception] = field(default_factory=dict)

    @property
    def refs(self) -> list[ImageRef]:
        return [ref for refs in self.refs_by_id.values() for ref in refs]

    @property
    def ids(self) -> dict[ImageRef, str]:
        """Returns the id of each reference's message; one of them if there are duplicates."""
        return {ref: message_id for message_id, refs in self.refs_by_id.items() for ref in refs}

    def errors(self, image_errors: Mapping[ImageRef, Exception]) -> dict[str, Exception]:
        """Returns the error of each failed message, by id: its own or its first failed image's."""
        failed = dict(self.unreadable)
        for message_id, refs in self.refs_by_id.items():
            if error := next((image_errors[ref] for ref in refs if ref in image_errors), None):
                failed[message_id] = error
        return failed


def read_messages(messages: Sequence[Mapping[str, Any]]) -> MessageBatch:
    """Parses messages in Lambda's form. An unreadable one does not hold up the others."""
    batch = MessageBatch()
    for message in messages:
        try:
            batch.refs_by_id[message["messageId"]] = parse_queue_body(message["body"])
        except Exception as error:  # noqa: BLE001 - it is logged, and the message is retried
            batch.unreadable[message["messageId"]] = error
    return batch


def oldest_seconds(messages: Sequence[Mapping[str, Any]], now_seconds: float) -> float:
    """Returns the age in seconds of the oldest message: how long its image has waited.

    Messages that failed before count: SQS keeps their first time, but leaves them out of its own
    ApproximateAgeOfOldestMessage from the third receive on.

    Args:
        now_seconds: since 1970, UTC.
    """
    sent_ms = min(int(each["attributes"]["SentTimestamp"]) for each in messages)
    return max(0.0, now_seconds - sent_ms / 1000)
