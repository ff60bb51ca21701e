"""The invariant, by name: every dropped version has exactly one result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bench.soak.flood import PREFIX, Truth
from imagedrop.dead_letters import DeadLetters
from imagedrop.target import Target
from pipeline.records import Record, Status


@dataclass(frozen=True, slots=True)
class Books:
    """The result of every version; ``wrong`` has the contradictions, by key."""

    inputs: int
    classified: int
    rejected: int
    superseded_or_deleted: int
    dead_letters: int
    wrong: Mapping[str, str]
    duplicate_factor: float
    latencies_seconds: tuple[float, ...]

    @property
    def are_balanced(self) -> bool:
        ended = self.classified + self.rejected + self.superseded_or_deleted + self.dead_letters
        return ended == self.inputs and not self.wrong and self.duplicate_factor == 1.0


class Writes:
    """Every change of the table, from its stream, across restarts."""

    def __init__(self, target: Target) -> None:
        self._table = target.outputs["PredictionsTableName"]
        target.client("dynamodb").update_table(
            TableName=self._table,
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self._seen: dict[str, tuple[str, str, str]] = {}

    def collect(self, target: Target) -> None:
        """Reads the stream from its beginning; what was read before counts once."""
        with suppress(ClientError, BotoCoreError):
            for record in self._records(target.client("dynamodbstreams")):
                change = record["dynamodb"]
                if "NewImage" in change:
                    row = change["NewImage"]
                    self._seen[change["SequenceNumber"]] = (
                        row["image"]["S"],
                        row["version"]["S"],
                        row["status"]["S"],
                    )

    def duplicate_factor(self) -> float:
        """Effects for each version and status; 1.00 when each was written once."""
        counts = Counter(self._seen.values())
        return sum(counts.values()) / len(counts) if counts else 0.0

    @property
    def count(self) -> int:
        return len(self._seen)

    def _records(self, streams: Any) -> Iterator[dict[str, Any]]:
        for stream in streams.list_streams(TableName=self._table)["Streams"]:
            arn = stream["StreamArn"]
            for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
                iterator = streams.get_shard_iterator(
                    StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
                )["ShardIterator"]
                while iterator:
                    page = streams.get_records(ShardIterator=iterator, Limit=1000)
                    yield from page["Records"]
                    iterator = page.get("NextShardIterator") if page["Records"] else None


def balance(target: Target, truths: Mapping[str, Truth], writes: Writes) -> Books:
    """Compares table and dead letters with the changes that were made."""
    table = target.predictions_table()
    bucket = f"s3://{target.images_bucket}/"
    rows = {
        record.key: record for record in table.get_many([bucket + key for key in truths]).values()
    }
    letters = {
        (image.key, image.version)
        for letter in DeadLetters(
            target.client("sqs"),
            target.outputs["DeadLetterQueueUrl"],
            target.outputs["ImagesQueueUrl"],
        ).all()
        for image in letter.images
    }
    counts: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    for key, truth in truths.items():
        newest = truth.versions[-1]
        counts["superseded_or_deleted"] += len(truth.versions) - 1
        kind = _ended(rows.get(key), newest, truth.is_deleted, (key, newest) in letters)
        counts[kind] += 1
        if kind == "lost":
            row = rows.get(key)
            wrong[key] = "no row" if row is None else f"{row.status} of {row.version}"
    strangers = set(_keys(target)) - set(truths)
    wrong |= dict.fromkeys(strangers, "a row of an image that was not dropped")
    return Books(
        inputs=sum(len(truth.versions) for truth in truths.values()),
        classified=counts["classified"],
        rejected=counts["rejected"],
        superseded_or_deleted=counts["superseded_or_deleted"],
        dead_letters=counts["dead_letters"],
        wrong=wrong,
        duplicate_factor=writes.duplicate_factor(),
        latencies_seconds=tuple(sorted(map(_latency_seconds, rows.values()))),
    )


def _ended(row: Record | None, newest: str, is_deleted: bool, is_letter: bool) -> str:
    if row is not None and is_deleted and row.status is Status.DELETED:
        return "superseded_or_deleted"
    if row is not None and not is_deleted and row.version == newest:
        if row.status is Status.CLASSIFIED:
            return "classified"
        if row.status is Status.REJECTED:
            return "rejected"
    return "dead_letters" if is_letter else "lost"


def _keys(target: Target) -> Iterator[str]:
    pages = (
        target.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=target.outputs["PredictionsTableName"])
    )
    for page in pages:
        for item in page["Items"]:
            if item["key"]["S"].startswith(PREFIX):
                yield item["key"]["S"]


def _latency_seconds(row: Record) -> float:
    from datetime import datetime  # noqa: PLC0415

    done, came = (datetime.fromisoformat(each) for each in (row.classified_at, row.received_at))
    return max(0.0, (done - came).total_seconds())
