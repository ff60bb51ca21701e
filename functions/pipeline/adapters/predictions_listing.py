"""Pages of the predictions table: one query of each partition of an index, merged in order.

A page takes as many requests as an index has partitions, whatever its filters: if few rows match,
the page is short, and its cursor continues after the rows that were read. A cursor is a place
in the order, so writes between two pages neither repeat nor hide a row that they do not touch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipeline.adapters.service_errors import error_code, translate_errors
from pipeline.queries import NoSuchOrderError, Page, Query, Sort
from pipeline.records import Status
from pipeline.table_items import CONFIDENCE_DECIMALS, INDEX_PARTITIONS, from_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Rows that each partition reads for a page with filters that its index does not know: 800 rows of
# 0.7 kB are 70 read units. A larger page reads as many rows as it may hold.
FILTERED_ROWS = 200
# Before and behind every sort key of an index.
FIRST, LAST = " ", "~"


@dataclass(frozen=True, slots=True)
class _Index:
    """An index, its partitions' keys, and the span of sort keys to read, ends included."""

    name: str
    hash_name: str
    hash_prefix: str
    sort_name: str
    low: str
    high: str


@dataclass(slots=True)
class _Filter:
    """A FilterExpression under construction; its parts must all be true."""

    parts: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether it leaves out deleted images alone, which are few."""
        return self.parts in ([], ["#status <> :deleted"])

    def add(self, comparison: str, name: str, value: dict[str, str] | None, place: str) -> None:
        """Adds ``name comparison value`` when there is a value."""
        if value is None:
            return
        self.names[f"#{name}"] = name
        self.values[f":{place}"] = value
        self.parts.append(f"#{name} {comparison} :{place}")


def list_page(
    dynamodb: DynamoDBClient, table_name: str, query: Query, limit: int, cursor: str | None
) -> Page:
    """Returns a page of at most ``limit`` records; it may be short, even empty, with a cursor.

    Raises:
        TransientError: DynamoDB is busy or did not answer.
        NoSuchOrderError: the table has no index by_confidence, and the query is in its order.
    """
    index = _index(query, cursor)
    if index.low > index.high:
        return Page([], cursor=None)
    request = _request(table_name, index, query, limit)
    with ThreadPoolExecutor(INDEX_PARTITIONS) as pool:
        read = partial(_read_partition, dynamodb, request, index)
        answers = list(pool.map(read, range(INDEX_PARTITIONS)))
    ends = [each["LastEvaluatedKey"] for each in answers if "LastEvaluatedKey" in each]
    keys = [_sort_key(each, index) for each in ends]
    # Behind the end of a partition that has more rows, nothing is complete.
    edge = (max(keys) if query.sort.descends else min(keys)) if keys else None
    items = sorted(
        (item for each in answers for item in each["Items"]),
        key=partial(_sort_key, index=index),
        reverse=query.sort.descends,
    )
    whole = [each for each in items if _is_within(_sort_key(each, index), edge, query.sort)]
    shown = [each for each in whole if _sort_key(each, index) != cursor]
    if len(shown) > limit:
        edge = _sort_key(shown[limit - 1], index)
    return Page([from_item(each) for each in shown[:limit]], edge)


def _is_within(sort_key: str, edge: str | None, sort: Sort) -> bool:
    if edge is None:
        return True
    return sort_key >= edge if sort.descends else sort_key <= edge


def _sort_key(item: Mapping[str, Mapping[str, Any]], index: _Index) -> str:
    return str(item[index.sort_name]["S"])


def _index(query: Query, cursor: str | None) -> _Index:
    """Returns the index in whose order the query is, and the span from the cursor on."""
    if query.sort.by_confidence:
        least = _decimals(query.min_confidence, ROUND_CEILING)
        most = _decimals(query.max_confidence, ROUND_FLOOR)
        span = (least or FIRST, LAST if most is None else most + LAST)
    else:
        span = (query.since or FIRST, query.until or LAST)
    low, high = span
    if cursor is not None:
        low, high = (low, min(high, cursor)) if query.sort.descends else (max(low, cursor), high)
    if query.sort.by_confidence:
        return _Index("by_confidence", "time_shard", "", "sureness", low, high)
    if query.label is not None:
        return _Index("by_label", "label_shard", f"{query.label}#", "recency", low, high)
    return _Index("by_time", "time_shard", "", "recency", low, high)


def _decimals(confidence: float | None, rounding: str) -> str | None:
    """Returns a confidence as it begins a sort key."""
    if confidence is None:
        return None
    step = Decimal(1).scaleb(-CONFIDENCE_DECIMALS)
    return str(Decimal(repr(confidence)).quantize(step, rounding))


def _request(table_name: str, index: _Index, query: Query, limit: int) -> dict[str, Any]:
    wanted = _filter(query)
    rows = _share(limit) if wanted.is_plain else max(FILTERED_ROWS, limit)
    request: dict[str, Any] = {
        "TableName": table_name,
        "IndexName": index.name,
        "KeyConditionExpression": (
            f"{index.hash_name} = :partition AND {index.sort_name} BETWEEN :low AND :high"
        ),
        "ExpressionAttributeValues": wanted.values
        | {":low": {"S": index.low}, ":high": {"S": index.high}},
        "ScanIndexForward": not query.sort.descends,
        "Limit": rows,
    }
    if wanted.parts:
        request["FilterExpression"] = " AND ".join(wanted.parts)
    if wanted.names:
        request["ExpressionAttributeNames"] = wanted.names
    return request


def _share(limit: int) -> int:
    """Returns a partition's share of a page, and three standard deviations more.

    Images lie in the partitions by chance, so that a page is short about once in a hundred.
    """
    share = limit / INDEX_PARTITIONS
    return math.ceil(share + 3 * math.sqrt(share)) + 1


def _filter(query: Query) -> _Filter:
    """Returns the filters that are not in the index's keys."""
    wanted = _Filter()
    if query.status is None:
        wanted.add("<>", "status", {"S": Status.DELETED}, "deleted")
    if query.sort.by_confidence:
        wanted.add("=", "label", _text(query.label), "label")
        wanted.add(">=", "classified_at", _text(query.since), "since")
        wanted.add("<", "classified_at", _text(query.until), "until")
    else:
        wanted.add(">=", "confidence", _number(query.min_confidence), "min_confidence")
        wanted.add("<=", "confidence", _number(query.max_confidence), "max_confidence")
    for name in ("status", "model", "source", "group"):
        wanted.add("=", name, _text(getattr(query, name)), name)
    if query.reviewed is not None:
        wanted.names |= {"#reviewed_version": "reviewed_version", "#version": "version"}
        wanted.parts.append(
            "#reviewed_version = #version"
            if query.reviewed
            else "(attribute_not_exists(#reviewed_version) OR #reviewed_version <> #version)"
        )
    if query.disagreement is not None:
        wanted.names["#disagrees"] = "disagrees"
        exists = "attribute_exists" if query.disagreement else "attribute_not_exists"
        wanted.parts.append(f"{exists}(#disagrees)")
    return wanted


def _text(value: str | None) -> dict[str, str] | None:
    return None if value is None else {"S": value}


def _number(value: float | None) -> dict[str, str] | None:
    # DynamoDB refuses numbers nearer to zero than 1e-130; confidences have six digits.
    return None if value is None else {"N": str(Decimal(repr(round(value, 12))))}


def _read_partition(
    dynamodb: DynamoDBClient, request: dict[str, Any], index: _Index, number: int
) -> dict[str, Any]:
    values = request["ExpressionAttributeValues"]
    values = values | {":partition": {"S": f"{index.hash_prefix}{number}"}}
    with translate_errors():
        try:
            answer: Any = dynamodb.query(**request | {"ExpressionAttributeValues": values})
        except ClientError as error:
            # The other indexes are always there, and this query differs in nothing else.
            if index.name == "by_confidence" and error_code(error) == "ValidationException":
                raise NoSuchOrderError(
                    "this stack's table has no index by_confidence: sort by newest or oldest, or "
                    "deploy with that index"
                ) from error
            raise
    found: dict[str, Any] = answer
    return found
