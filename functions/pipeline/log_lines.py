"""The function's log: a line per batch and per image that failed, without any content of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pipeline.classify_images import Outcome
from pipeline.errors import SpecMismatchError, TransientError
from pipeline.message_batch import MessageBatch
from pipeline.records import Status
from pipeline.retries import FailedMessage
from pipeline.table_items import short_name


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log. If there is an ``error``, its traceback is logged too."""

    level: Literal["info", "warning", "error"]
    text: str
    fields: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None


def of_messages(
    batch: MessageBatch, outcomes: Sequence[Outcome], milliseconds: int
) -> Iterator[LogLine]:
    """Yields a line for each message and image that failed, then the batch's."""
    for message_id, error in batch.unreadable.items():
        yield unreadable(message_id, error)
    ids = batch.ids
    for each in outcomes:
        if each.error is not None:
            yield failed(each, ids[each.ref])
    yield results(outcomes, milliseconds)


def image_id(image: str) -> str:
    """Returns the id of an image in every line about it; a line of a batch has many."""
    return short_name(image)


def unreadable(message_id: str, error: Exception) -> LogLine:
    """Returns the line for a message that is not an S3 notification."""
    return LogLine("error", "unreadable message", {"message_id": message_id}, error)


def given_up(message: FailedMessage, batch: MessageBatch) -> LogLine:
    """Returns the line for a message that failed at its last try, and its images."""
    about: dict[str, Any] = {"message_id": message.message_id, "why": message.reason}
    refs = batch.refs_by_id.get(message.message_id, [])
    about["images"] = [image_id(each.image) for each in refs]
    return LogLine("error", "image given up", about)


def failed(outcome: Outcome, message_id: str) -> LogLine:
    """Returns the line for an image that failed and is retried."""
    ref, error = outcome.ref, outcome.error
    about: dict[str, Any] = {
        "image": ref.image,
        "image_id": image_id(ref.image),
        "version": ref.version,
        "sequencer": ref.sequencer,
        "message_id": message_id,
    }
    if isinstance(error, TransientError | SpecMismatchError):
        return LogLine("warning", "image failed for now", about | {"error": str(error)})
    return LogLine("error", "image failed", about, error)


def results(outcomes: Sequence[Outcome], milliseconds: int) -> LogLine:
    """Returns the line with the results of a batch; the table has each image's."""
    records = [each.record for each in outcomes if each.record is not None]
    rejections = Counter(each.reason for each in records if each.status is Status.REJECTED)
    about: dict[str, Any] = {
        **counts(outcomes),
        "models": sorted({each.model for each in records if each.model}),
        "rejections": dict(rejections),
        "milliseconds": milliseconds,
        "images": sorted({image_id(each.ref.image) for each in outcomes}),
    }
    return LogLine("info", "batch", about)


# How long the images queue keeps a message: MessageRetentionPeriod in template.yaml.
QUEUE_SECONDS = 345_600


def row_seconds(outcomes: Sequence[Outcome]) -> list[float]:
    """Returns the seconds from S3's event to the row, for each image that just got its row. Images
    that `imagedrop reprocess` answers again are left out: their events are older.
    """
    times = [
        (datetime.fromisoformat(each.record.received_at), each.record.classified_at)
        for each in outcomes
        if each.written and each.record is not None and each.record.status is not Status.DELETED
    ]
    seconds = [(datetime.fromisoformat(end) - start).total_seconds() for start, end in times]
    return [each for each in seconds if each <= QUEUE_SECONDS]


def counts(outcomes: Sequence[Outcome]) -> Counter[str]:
    """Counts images by result, under the names of the metrics."""
    return Counter(_metric(each) for each in outcomes)


def _metric(outcome: Outcome) -> str:
    if isinstance(outcome.error, TransientError | SpecMismatchError):
        return "TransientFailures"
    if outcome.error is not None:
        return "Bugs"
    if outcome.record is None:
        return "Overtaken"
    return outcome.record.status.capitalize() if outcome.written else "KnownAlready"
