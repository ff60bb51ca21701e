"""The reviewers' half of the predictions table: one consistent read and one conditional write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipeline.adapters.service_errors import error_code, translate_errors
from pipeline.review import Action, ReviewConflictError, ReviewRequest, reviewed
from pipeline.review_items import REVIEW_NAMES, reviews_of, to_review_item
from pipeline.table_items import from_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from pipeline.records import Record, Review

# The row is unchanged in everything that a reviewer sees, and has no newer review. A
# row that was answered again shows its new answer before it is confirmed.
UNCHANGED = "#version = :version AND answer = :answer"
NOBODY_YET = "attribute_not_exists(#review_changes)"
NOBODY_SINCE = "#review_changes = :changes"
# Another reviewer was quicker; whether this action still makes sense depends on theirs.
TRIES = 3


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A record after a reviewer's action, and the review that an undo took back."""

    record: Record
    undone: Review | None


class ReviewsTable:
    """Writes reviews beside the answers of the table named in the template."""

    def __init__(self, dynamodb: DynamoDBClient, table_name: str) -> None:
        self._dynamodb = dynamodb
        self._table_name = table_name

    def review(self, image: str, request: ReviewRequest) -> Reviewed | None:
        """Applies a reviewer's action; returns None when there is no row.

        Raises:
            ReviewConflictError: it does not fit the row's current state.
            TransientError: DynamoDB is busy or did not answer.
        """
        for _ in range(TRIES):
            with translate_errors():
                found = self._dynamodb.get_item(
                    TableName=self._table_name, Key={"image": {"S": image}}, ConsistentRead=True
                )
                if "Item" not in found:
                    return None
                done = self._write(found["Item"], request)
                if done is not None:
                    return done
        raise ReviewConflictError("others are reviewing this image; look again")

    def _write(self, item: Any, request: ReviewRequest) -> Reviewed | None:
        """Writes the review beside the row that was read; None if the row changed meanwhile."""
        before = reviews_of(item)
        changed = to_review_item(reviewed(before, from_item(item), request))
        first = "review_changes" not in item
        values = {f":{name}": value for name, value in changed.items()}
        values |= {":version": item["version"], ":answer": item["answer"]}
        given = ", ".join(f"#{name} = :{name}" for name in changed)
        gone = ", ".join(f"#{name}" for name in REVIEW_NAMES if name not in changed)
        try:
            answer: Any = self._dynamodb.update_item(
                TableName=self._table_name,
                Key={"image": item["image"]},
                UpdateExpression=f"SET {given}" + (f" REMOVE {gone}" if gone else ""),
                ConditionExpression=f"{UNCHANGED} AND {NOBODY_YET if first else NOBODY_SINCE}",
                ExpressionAttributeNames={f"#{name}": name for name in (*REVIEW_NAMES, "version")},
                ExpressionAttributeValues=values
                | ({} if first else {":changes": {"N": str(before.changes)}}),
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                return None
            raise
        undone = before.latest if request.action is Action.UNDO else None
        return Reviewed(from_item(answer["Attributes"]), undone)
