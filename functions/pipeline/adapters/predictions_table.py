"""The predictions table: one conditional write an image, and the ways to read it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipeline.adapters.service_errors import error_code, translate_errors
from pipeline.errors import TransientError
from pipeline.events import NO_SEQUENCER, UNKNOWN_SEQUENCER, ImageRef
from pipeline.queries import Page, Query
from pipeline.records import Record, Status, Written
from pipeline.table_items import INDEX_PARTITIONS, ITEM_NAMES, Item, from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# An older change never overwrites a newer one, and the same answer is written once. Another model
# may answer the same version again. A row of a listing has no sequencer, so S3's clock decides
# whether an event is older than the listed version.
NEWER_OR_ANOTHER_ANSWER = (
    "attribute_not_exists(image)"
    " OR (sequencer < :sequencer"
    " AND (sequencer <> :no_sequencer OR received_at <= :received_at))"
    " OR (sequencer = :sequencer AND answer <> :answer)"
)
# The version was erased while it was read, or before a duplicate of its event came.
NOT_ERASED = "NOT (version = :version AND #status = :deleted)"
# A listed version replaces the row of an older version, by S3's clock. It also replaces the mark of
# another version that was erased before the key had a row.
NEWER_BY_CLOCK = (
    "attribute_not_exists(image) OR (version <> :version"
    " AND (received_at < :received_at OR sequencer = :unknown_sequencer))"
)
# Another model's answer to the version that the row shows. Erased versions stay erased.
ANOTHER_ANSWER = "version = :version AND answer <> :answer AND #status <> :deleted"
# The erasure of a version concerns the row only while the row shows that version.
SHOWS_VERSION = "version = :version AND sequencer = :sequencer AND #status <> :deleted"
STATUS_NAME = {"#status": "status"}  # a reserved word of DynamoDB
DELETED_VALUE = {":deleted": {"S": str(Status.DELETED)}}

# Rows read for one page before it is returned short, with a cursor: a rare label must not read a
# whole table in one request (2,000 rows of 0.7 kB are 175 read units).
MAX_ROWS_A_PAGE = 2_000
BATCH_GET_KEYS = 100  # DynamoDB's limit for one BatchGetItem


class PredictionsTable:
    """The table named in the template."""

    def __init__(self, dynamodb: DynamoDBClient, table_name: str) -> None:
        self._dynamodb = dynamodb
        self._table_name = table_name

    def write(self, record: Record, ref: ImageRef) -> bool:
        """Writes an answer; returns False if the table has it already, or a newer version's.

        Raises:
            TransientError: DynamoDB is busy or did not answer; or the version was erased while it
                was classified, which the next try handles.
            ClientError: anything else.
        """
        if ref.version_removed:
            return self._write_erasure(record, ref)
        item = to_item(record, ref)
        request: dict[str, Any] = {
            "ConditionExpression": NEWER_OR_ANOTHER_ANSWER,
            "ExpressionAttributeValues": _values(item, "sequencer", "answer", "received_at")
            | {":no_sequencer": {"S": NO_SEQUENCER}},
        }
        # An etag, used where there are no version ids, can come back with the same content.
        if ref.versioned and record.status is not Status.DELETED:
            request["ConditionExpression"] = f"({NEWER_OR_ANOTHER_ANSWER}) AND {NOT_ERASED}"
            request["ExpressionAttributeNames"] = STATUS_NAME
            request["ExpressionAttributeValues"] |= _values(item, "version") | DELETED_VALUE
        old = self._put(item, **request)
        if old is not None and _erased_unseen(old, ref):
            raise TransientError("VersionErased", f"{ref.version} is gone since it was read")
        return old is None

    def _write_erasure(self, record: Record, ref: ImageRef) -> bool:
        """Marks the row of an erased version as deleted; returns whether it was written.

        The row keeps the version's sequencer. With the erasure's, which is later, it would win
        over newer versions that exist but arrive late.
        """
        unseen = to_item(record, replace(ref, sequencer=UNKNOWN_SEQUENCER))
        old = self._put(unseen, ConditionExpression="attribute_not_exists(image)")
        if old is None:
            return True  # its own event, still to come, must not bring it back
        if old["version"]["S"] != ref.version or old["status"]["S"] == Status.DELETED:
            return False
        shown = {name: old[name] for name in ("sequencer", "received_at")}
        item = unseen | shown
        refused = self._put(
            item,
            ConditionExpression=SHOWS_VERSION,
            ExpressionAttributeNames=STATUS_NAME,
            ExpressionAttributeValues=_values(item, "version", "sequencer") | DELETED_VALUE,
        )
        return refused is None

    def _put(self, item: Item, **condition: Any) -> Item | None:
        """Writes an item; returns None, or the existing row if the condition fails."""
        with translate_errors():
            try:
                self._dynamodb.put_item(
                    TableName=self._table_name,
                    Item=item,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **condition,
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                response: Any = error.response
                old: Item = response.get("Item", {})  # empty if it was forgotten meanwhile
                return old
        return None

    def write_listed(self, record: Record, ref: ImageRef) -> Written:
        """Writes the record of a listed image; a row of a newer version, or a deletion, stays.

        Raises:
            TransientError: DynamoDB is busy or did not answer.
            ClientError: anything else.
        """
        item = to_item(record, ref)
        old = self._put(
            item,
            ConditionExpression=NEWER_BY_CLOCK,
            ExpressionAttributeValues=_values(item, "version", "received_at")
            | {":unknown_sequencer": {"S": UNKNOWN_SEQUENCER}},
        )
        if old is None:
            return Written.NOW
        if old["version"] != item["version"] or old["status"]["S"] == Status.DELETED:
            return Written.NEWER_VERSION
        with translate_errors():
            return self._answer_anew(item)

    def _answer_anew(self, item: Item) -> Written:
        """Replaces the answer to the version that the row shows, and keeps its sequencer."""
        kept = ("image", "sequencer")
        names = {f"#{name}": name for name in ITEM_NAMES if name not in kept}
        given = [name for name in item if name not in kept]
        gone = [name for name in names.values() if name not in item]
        update = "SET " + ", ".join(f"#{name} = :{name}" for name in given)
        if gone:
            update += " REMOVE " + ", ".join(f"#{name}" for name in gone)
        try:
            self._dynamodb.update_item(
                TableName=self._table_name,
                Key={"image": item["image"]},
                UpdateExpression=update,
                ConditionExpression=ANOTHER_ANSWER,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=_values(item, *given)
                | {":deleted": {"S": Status.DELETED}},
            )
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                return Written.BEFORE
            raise
        return Written.NOW

    def get(self, image: str) -> Record | None:
        """Returns the record of an image; None when there is none.

        Args:
            image: the image's address, ``s3://bucket/key``.
        """
        with translate_errors():
            response = self._dynamodb.get_item(
                TableName=self._table_name, Key={"image": {"S": image}}
            )
        return from_item(response["Item"]) if "Item" in response else None

    def get_many(self, images: Sequence[str]) -> dict[str, Record]:
        """Returns the existing records of these images, by image."""
        found: dict[str, Record] = {}
        for start in range(0, len(images), BATCH_GET_KEYS):
            keys: list[Any] = [{"image": {"S": each}} for each in images[start:][:BATCH_GET_KEYS]]
            while keys:
                with translate_errors():
                    response = self._dynamodb.batch_get_item(
                        RequestItems={self._table_name: {"Keys": keys}}
                    )
                for item in response["Responses"].get(self._table_name, []):
                    record = from_item(item)
                    found[record.image] = record
                unread = response.get("UnprocessedKeys", {}).get(self._table_name)
                keys = list(unread["Keys"]) if unread else []
        return found

    def list(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        """Returns a page of at most ``limit`` records, newest first.

        The partitions of an index are read in parallel and merged, so the order is exact. A page
        may be short, even empty, and still have a cursor.
        """
        if cursor is not None and query.since is not None and cursor <= query.since:
            return Page([], cursor=None)
        matching: list[Record] = []
        # Each partition reads a little more than its share; skew costs a second query, never rows.
        page_size = max(10, 2 * limit // INDEX_PARTITIONS)
        merged = heapq.merge(
            *(
                self._partition(query, number, cursor, page_size)
                for number in range(INDEX_PARTITIONS)
            ),
            key=_recency,
            reverse=True,
        )
        for seen, item in enumerate(merged, 1):
            record = from_item(item)
            if query.matches(record):
                matching.append(record)
            if len(matching) == limit or seen == MAX_ROWS_A_PAGE:
                return Page(matching, cursor=_recency(item))
        return Page(matching, cursor=None)

    def _partition(
        self, query: Query, number: int, before: str | None, page_size: int
    ) -> Iterator[Mapping[str, Any]]:
        index, name, value = (
            ("by_time", "time_shard", str(number))
            if query.label is None
            else ("by_label", "label_shard", f"{query.label}#{number}")
        )
        conditions = [f"{name} = :partition"]
        values: dict[str, Any] = {":partition": {"S": value}}
        if before is not None and query.since is not None:
            # BETWEEN includes its ends: the cursor's own row is left out below.
            conditions.append("recency BETWEEN :since AND :before")
        elif before is not None:
            conditions.append("recency < :before")
        elif query.since is not None:
            conditions.append("recency >= :since")
        if before is not None:
            values[":before"] = {"S": before}
        if query.since is not None:
            values[":since"] = {"S": query.since}
        request: dict[str, Any] = {
            "TableName": self._table_name,
            "IndexName": index,
            "KeyConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeValues": values,
            "ScanIndexForward": False,
            "Limit": page_size,
        }
        while True:
            with translate_errors():
                response = self._dynamodb.query(**request)
            yield from (item for item in response["Items"] if _recency(item) != before)
            if "LastEvaluatedKey" not in response:
                return
            request["ExclusiveStartKey"] = response["LastEvaluatedKey"]


def _erased_unseen(old: Item, ref: ImageRef) -> bool:
    """Returns whether the row marks this version as erased without knowing its sequencer."""
    return (old["version"]["S"], old["sequencer"]["S"]) == (ref.version, UNKNOWN_SEQUENCER)


def _values(item: Item, *names: str) -> dict[str, Any]:
    return {f":{name}": item[name] for name in names}


def _recency(item: Mapping[str, Mapping[str, Any]]) -> str:
    return str(item["recency"]["S"])
