"""The predictions table: one conditional write an image, and the ways to read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipeline.adapters.predictions_listing import list_page
from pipeline.adapters.service_errors import error_code, translate_errors
from pipeline.errors import TransientError
from pipeline.events import RESENT_SEQUENCER, UNKNOWN_SEQUENCER, ImageRef
from pipeline.queries import Page, Query
from pipeline.records import CandidateAnswer, Record, Status, Written
from pipeline.review_items import REVIEW_NAMES
from pipeline.table_items import (
    ITEM_NAMES,
    Item,
    answer_identity,
    from_item,
    to_candidate_item,
    to_item,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# An older change never overwrites a newer one, and the same answer is written once. Another model
# may answer the same version again. A row of a listing has no sequencer, so S3's clock decides
# whether an event is older than the listed version.
NEWER_OR_ANOTHER_ANSWER = (
    "attribute_not_exists(image)"
    " OR (sequencer < :sequencer"
    " AND (sequencer > :resent OR sequencer = :unknown OR received_at <= :received_at))"
    " OR (sequencer = :sequencer AND answer <> :answer)"
)
SEQUENCERS = {":resent": {"S": RESENT_SEQUENCER}, ":unknown": {"S": UNKNOWN_SEQUENCER}}
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
# The row shows the version and answer that the candidate's answer belongs to.
SAME_ANSWER = "#version = :version AND answer = :answer AND classified_at = :classified_at"
# The erasure of a version concerns the row only while the row shows that version.
SHOWS_VERSION = "version = :version AND sequencer = :sequencer AND #status <> :deleted"
DELETED_VALUE = {":deleted": {"S": str(Status.DELETED)}}

BATCH_GET_KEYS = 100  # DynamoDB's limit for one BatchGetItem
INSERTS_AT_ONCE = 25  # DynamoDB's limit for one BatchExecuteStatement


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
        condition, values = NEWER_OR_ANOTHER_ANSWER, SEQUENCERS
        # An etag, used where there are no version ids, can come back with the same content.
        if ref.versioned and record.status is not Status.DELETED:
            condition = f"({NEWER_OR_ANOTHER_ANSWER}) AND {NOT_ERASED}"
            values = values | DELETED_VALUE
        old = self._update(item, condition, values)
        if old is not None and _erased_unseen(old, ref):
            raise TransientError("VersionErased", f"{ref.version} is gone since it was read")
        return old is None

    def _write_erasure(self, record: Record, ref: ImageRef) -> bool:
        """Marks the row of an erased version as deleted; returns whether it was written.

        The row keeps the version's sequencer. With the erasure's, which is later, it would win
        over newer versions that exist but arrive late.
        """
        unseen = to_item(record, replace(ref, sequencer=UNKNOWN_SEQUENCER))
        old = self._update(unseen, "attribute_not_exists(image)")
        if old is None:
            return True  # its own event, still to come, must not bring it back
        if old["version"]["S"] != ref.version or old["status"]["S"] == Status.DELETED:
            return False
        shown = {name: old[name] for name in ("sequencer", "received_at")}
        return self._update(unseen | shown, SHOWS_VERSION, DELETED_VALUE) is None

    def _update(
        self,
        item: Item,
        condition: str,
        values: dict[str, Any] | None = None,
        kept: Sequence[str] = ("image",),
    ) -> Item | None:
        """Writes an item's attributes; returns None, or the existing row if the condition fails.

        Attributes that the item lacks are removed, except the reviews of the image, which are
        removed only with the image.
        """
        said = REVIEW_NAMES if item["status"]["S"] == Status.DELETED else ()
        names = [name for name in (*ITEM_NAMES, *said) if name not in kept]
        with translate_errors():
            try:
                self._dynamodb.update_item(
                    TableName=self._table_name,
                    Key={"image": item["image"]},
                    UpdateExpression=_set_and_remove(item, names),
                    ConditionExpression=condition,
                    ExpressionAttributeNames={f"#{name}": name for name in names},
                    ExpressionAttributeValues={
                        f":{name}": item[name] for name in names if name in item
                    }
                    | (values or {}),
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
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
        old = self._update(item, NEWER_BY_CLOCK, {":unknown_sequencer": {"S": UNKNOWN_SEQUENCER}})
        if old is None:
            return Written.NOW
        if old["version"] != item["version"] or old["status"]["S"] == Status.DELETED:
            return Written.NEWER_VERSION
        # Another answer to the version that the row shows, in the row's place in the order.
        old = self._update(item, ANOTHER_ANSWER, DELETED_VALUE, kept=("image", "sequencer"))
        return Written.NOW if old is None else Written.BEFORE

    def insert_listed(self, answers: Sequence[tuple[Record, ImageRef]]) -> set[str]:
        """Writes the records of listed images that have no row yet, in one request.

        INSERT refuses an image that has a row, as ``attribute_not_exists`` does, and costs the same
        as ``write_listed``, which is for all images that are not in the result.

        Args:
            answers: INSERTS_AT_ONCE at most; of several with the same image one is written.

        Returns the images whose record was written.

        Raises:
            TransientError: DynamoDB is busy or did not answer; it may have written any of them.
            ClientError: anything else.
        """
        items = list({ref.image: to_item(record, ref) for record, ref in answers}.values())
        with translate_errors():
            response = self._dynamodb.batch_execute_statement(
                Statements=[
                    {
                        "Statement": _insert(self._table_name, tuple(item)),
                        "Parameters": list(item.values()),
                    }
                    for item in items
                ]
            )
        return {
            item["image"]["S"]
            for item, answer in zip(items, response["Responses"], strict=True)
            if "Error" not in answer
        }

    def write_candidate(self, record: Record, answer: CandidateAnswer) -> bool:
        """Writes a candidate's answer beside the row's; returns False if the row shows another one.

        Raises:
            TransientError: DynamoDB is busy or did not answer.
            ClientError: anything else.
        """
        item = to_candidate_item(answer, record.label)
        shown = {
            ":version": {"S": record.version},
            ":answer": {"S": answer_identity(record)},
            ":classified_at": {"S": record.classified_at},
        }
        with translate_errors():
            try:
                self._dynamodb.update_item(
                    TableName=self._table_name,
                    Key={"image": {"S": record.image}},
                    UpdateExpression=_set_and_remove(item, ("candidate", "disagrees")),
                    ConditionExpression=SAME_ANSWER,
                    ExpressionAttributeNames={
                        f"#{name}": name for name in ("candidate", "disagrees", "version")
                    },
                    ExpressionAttributeValues={f":{name}": item[name] for name in item} | shown,
                )
            except ClientError as error:
                if error_code(error) != "ConditionalCheckFailedException":
                    raise
                return False
        return True

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
        """Returns a page of at most ``limit`` records in the query's order.

        A page may be short, even empty, and still have a cursor. It takes four requests.
        """
        return list_page(self._dynamodb, self._table_name, query, limit, cursor)


def _insert(table_name: str, names: Sequence[str]) -> str:
    """Returns PartiQL's statement that writes a new item with these attributes."""
    attributes = ", ".join(f"'{name}': ?" for name in names)
    return f'INSERT INTO "{table_name}" VALUE {{{attributes}}}'


def _erased_unseen(old: Item, ref: ImageRef) -> bool:
    """Returns whether the row marks this version as erased without knowing its sequencer."""
    return (old["version"]["S"], old["sequencer"]["S"]) == (ref.version, UNKNOWN_SEQUENCER)


def _set_and_remove(item: Item, names: Sequence[str]) -> str:
    """Returns the expression that gives these attributes the item's values, or removes them."""
    given = ", ".join(f"#{name} = :{name}" for name in names if name in item)
    gone = ", ".join(f"#{name}" for name in names if name not in item)
    return f"SET {given}" + (f" REMOVE {gone}" if gone else "")
