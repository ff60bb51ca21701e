"""The journal: answers that were replaced, and counters by day that count each change once.

Its items, by ``subject`` and ``at``:

- an image's address, and the time of the answer: an answer that another one replaced;
- ``days#PART``, and a day: counters, spread over a few items so that shards rarely meet; those of
  bulk runs have ``#bulk`` behind the day, those to a version that had an answer ``#again``;
- ``shard#ID``, and ``mark``: the last change of a shard of the stream that was counted.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from changes.row_changes import DAY_LENGTH, day_json, history_json
from pipeline.adapters.service_errors import error_code, translate_errors
from pipeline.errors import TransientError
from pipeline.records import Record
from pipeline.table_items import short_name

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PARTS = 4
# A stream keeps its records for one day, and counters may be compared with last year's.
MARK_DAYS, COUNTER_DAYS = 3, 400


class JournalTable:
    """The table named in the template.

    Every method raises TransientError when DynamoDB is busy or did not answer.
    """

    def __init__(self, dynamodb: DynamoDBClient, table_name: str) -> None:
        self._dynamodb = dynamodb
        self._table_name = table_name

    def mark(self, shard: str) -> str:
        """Returns the last counted change of a shard; empty before the first."""
        with translate_errors():
            found = self._dynamodb.get_item(
                TableName=self._table_name, Key=_mark_key(shard), ConsistentRead=True
            )
        return found["Item"]["sequence"]["S"] if "Item" in found else ""

    def count(
        self,
        shard: str,
        marks: tuple[str, str],
        days: Mapping[str, Counter[str]],
        now: datetime,
    ) -> None:
        """Adds to the counters and moves the shard's mark, all or nothing.

        Args:
            marks: the mark that was read, and the last change that is counted now.

        Raises:
            TransientError: another call moved the mark, or wrote the same counters at the same
            moment.
        """
        part = zlib.crc32(shard.encode()) % PARTS
        writes = [self._move(shard, *marks, now)]
        writes += [self._add(part, day, counts, now) for day, counts in days.items()]
        with translate_errors():
            try:
                self._dynamodb.transact_write_items(
                    TransactItems=[{"Update": each} for each in writes]
                )
            except ClientError as error:
                if error_code(error) == "TransactionCanceledException":
                    raise TransientError("TransactionCanceled", str(error)) from error
                raise

    def _move(self, shard: str, before: str, after: str, now: datetime) -> Any:
        unmoved = "#sequence = :before" if before else "attribute_not_exists(#sequence)"
        return {
            "TableName": self._table_name,
            "Key": _mark_key(shard),
            "UpdateExpression": "SET #sequence = :after, expires_at = :expires",
            "ConditionExpression": unmoved,
            "ExpressionAttributeNames": {"#sequence": "sequence"},
            "ExpressionAttributeValues": {
                ":after": {"S": after},
                ":expires": _later(now, MARK_DAYS),
                **({":before": {"S": before}} if before else {}),
            },
        }

    def _add(self, part: int, day: str, counts: Mapping[str, int], now: datetime) -> Any:
        names = {f"#{place}": name for place, name in enumerate(counts)}
        added = ", ".join(f"{each} :{each[1:]}" for each in names)
        values = {f":{place}": {"N": str(count)} for place, count in enumerate(counts.values())}
        return {
            "TableName": self._table_name,
            "Key": {"subject": {"S": f"days#{part}"}, "at": {"S": day}},
            "UpdateExpression": f"SET expires_at = :expires ADD {added}",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values | {":expires": _later(now, COUNTER_DAYS)},
        }

    def days(self, since: str) -> list[dict[str, Any]]:
        """Returns the counters of each day that has any, the oldest first; one query a part.

        Args:
            since: the first day, such as 2026-11-29.
        """
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for at, counts in self._counted(since):
            found[at[:DAY_LENGTH]].update(counts)
        return [day_json(day, found[day]) for day in sorted(found)]

    def drops(self, since: str) -> dict[str, Counter[str]]:
        """Returns the counters of dropped images, by day and by their names here."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for at, counts in self._counted(since):
            if at == at[:DAY_LENGTH]:  # nothing behind the day
                found[at].update(counts)
        return dict(found)

    def _counted(self, since: str) -> Iterator[tuple[str, dict[str, int]]]:
        for part in range(PARTS):
            for item in self._query(f"days#{part}", since):
                counts = {name: int(value["N"]) for name, value in item.items() if ":" in name}
                yield item["at"]["S"], counts

    def keep(self, record: Record) -> None:
        """Keeps an answer that was replaced; a second time changes nothing."""
        at = f"{record.classified_at}#{short_name(record.version)}"
        with translate_errors():
            self._dynamodb.put_item(
                TableName=self._table_name,
                Item={
                    "subject": {"S": record.image},
                    "at": {"S": at},
                    "answer": {"S": json.dumps(history_json(record))},
                },
            )

    def history(self, image: str) -> list[dict[str, Any]]:
        """Returns an image's replaced answers, the newest first, as they were kept."""
        items = self._query(image)
        return [json.loads(each["answer"]["S"]) for each in reversed(items)]

    def erase(self, image: str) -> None:
        """Deletes everything about an image."""
        for item in self._query(image):
            with translate_errors():
                self._dynamodb.delete_item(
                    TableName=self._table_name,
                    Key={"subject": item["subject"], "at": item["at"]},
                )

    def _query(self, subject: str, since: str = " ") -> list[Any]:
        items: list[Any] = []
        request: dict[str, Any] = {
            "TableName": self._table_name,
            "KeyConditionExpression": "subject = :subject AND #at >= :since",
            "ExpressionAttributeNames": {"#at": "at"},
            "ExpressionAttributeValues": {":subject": {"S": subject}, ":since": {"S": since}},
        }
        while True:
            with translate_errors():
                page: Any = self._dynamodb.query(**request)
            items += page["Items"]
            if "LastEvaluatedKey" not in page:
                return items
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _mark_key(shard: str) -> Any:
    return {"subject": {"S": f"shard#{shard}"}, "at": {"S": "mark"}}


def _later(now: datetime, days: int) -> dict[str, str]:
    """Returns a time for DynamoDB's TTL, which counts seconds since 1970."""
    return {"N": str(int((now + timedelta(days=days)).timestamp()))}
