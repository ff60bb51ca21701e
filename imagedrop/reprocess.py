"""Classifies images in the bucket again, with the model in use.

A row is answered again by a message like S3's own, with the row's sequencer: the function reads
the same version, and writes its answer only where it differs. Newer versions and deletions still
win, and reviews of the version stay.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from imagedrop.polling import poll_rows
from imagedrop.target import INCOMING_PREFIX, PARALLEL_CALLS, Target
from pipeline.events import NO_SEQUENCER, RESENT_SEQUENCER
from pipeline.records import Record, Status
from pipeline.retries import BATCH_MESSAGES


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rows to answer again, and how many were left out, by reason."""

    records: tuple[Record, ...]
    answered: int
    elsewhere: int


def choose(records: Iterable[Record], images_bucket: str, model: str) -> Chosen:
    """Returns the rows that may get another answer.

    Rows that the model has answered would not change. ClassifyFunction may only read incoming/;
    other folders are answered again by another run over them.

    Args:
        model: the NAME@VERSION in use.
    """
    chosen: list[Record] = []
    answered = elsewhere = 0
    prefix = f"s3://{images_bucket}/{INCOMING_PREFIX}"
    for each in records:
        if each.model == model:
            answered += 1
        elif not each.image.startswith(prefix):
            elsewhere += 1
        elif each.status is not Status.DELETED:
            chosen.append(each)
    return Chosen(tuple(chosen), answered, elsewhere)


def send_again(
    target: Target, records: Sequence[Record], on_sent: Callable[[int], None]
) -> list[str]:
    """Sends a message for each row; returns the images whose message was refused.

    Raises:
        ClientError: a permission is missing, or the queue is gone.
    """
    sqs, dynamodb = target.client("sqs"), target.client("dynamodb")
    queue_url = target.outputs["ImagesQueueUrl"]
    table = target.outputs["PredictionsTableName"]

    def send(some: Sequence[Record]) -> tuple[int, list[str]]:
        bodies = list(_bodies(dynamodb, table, some))
        if not bodies:
            return len(some), []
        entries = [
            {"Id": str(place), "MessageBody": body} for place, (_, body) in enumerate(bodies)
        ]
        answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
        return len(some), [bodies[int(each["Id"])][0] for each in answer.get("Failed", [])]

    refused: list[str] = []
    with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        for count, failed in pool.map(send, _tens(records)):
            on_sent(count)
            refused += failed
    return refused


def _tens(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    for start in range(0, len(records), BATCH_MESSAGES):
        yield records[start : start + BATCH_MESSAGES]


def _bodies(dynamodb: Any, table: str, records: Sequence[Record]) -> Iterator[tuple[str, str]]:
    """Yields each row's image and message; a row with another version by now has its own event."""
    keys = [{"image": {"S": each.image}} for each in records]
    sequencers: dict[tuple[str, str], str] = {}
    while keys:
        answer = dynamodb.batch_get_item(
            RequestItems={table: {"Keys": keys, "ConsistentRead": True}}
        )
        for item in answer["Responses"].get(table, []):
            place = (item["image"]["S"], item["version"]["S"])
            sequencers[place] = item["sequencer"]["S"]
        keys = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
    for each in records:
        sequencer = sequencers.get((each.image, each.version))
        if sequencer is not None:
            yield each.image, event_body(each, sequencer)


def event_body(record: Record, sequencer: str) -> str:
    """Returns a message in the form of S3's notifications.

    docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    bucket = record.image.removeprefix("s3://").partition("/")[0]
    stored = {
        "key": quote_plus(record.key),
        "size": record.bytes,
        "versionId": record.version,
        "sequencer": RESENT_SEQUENCER if sequencer == NO_SEQUENCER else sequencer,
    }
    event = {
        "eventName": "ObjectCreated:Put",
        "eventTime": record.received_at,
        "s3": {"bucket": {"name": bucket}, "object": stored},
    }
    return json.dumps({"Records": [event]})


def wait_for_answers(
    target: Target,
    records: Sequence[Record],
    patience_seconds: float,
    on_rows: Callable[[int], None],
) -> list[str]:
    """Waits until each row shows another answer; returns the images that do not show one.

    Stops after ``patience_seconds`` without another answer.
    """
    before = {each.image: (each.version, each.model, each.classified_at) for each in records}
    rows = poll_rows(
        target.predictions_table(),
        before,
        lambda row: (row.version, row.model, row.classified_at) != before[row.image],
        patience_seconds,
        on_rows,
    )
    return [image for image in before if image not in rows]
