"""The faster moto and botocore give the same answers and errors as the originals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests import quick_moto, quick_sdk
from tests.template_resources import create_predictions_table

KEY = {"image": {"S": "s3://b/dog.jpg"}}
ITEM = KEY | {
    "list": {"S": "0"},
    "classified_at": {"S": "2026-11-24T06:00:01.000Z"},
    "confidence": {"N": "0.5"},
    "tags": {"L": [{"S": "a"}, {"M": {"deep": {"N": "1"}, "none": {"NULL": True}}}]},
    "sizes": {"M": {"width": {"N": "640"}, "kinds": {"SS": ["x", "y"]}}},
    "is_new": {"BOOL": False},
    "bytes": {"B": b"\x00\xff"},
}
A, B = {"S": "first"}, {"N": "2"}

# Each is an update's expression, its names and its values.
UPDATES: list[tuple[str, dict[str, str] | None, dict[str, Any] | None]] = [
    ("SET #a = :a, sizes.width = :b REMOVE tags[0], is_new", {"#a": "label"}, {":a": A, ":b": B}),
    ("SET counted = if_not_exists(counted, :b) + :b", None, {":b": B}),
    ("SET counted = counted - :b, copied = confidence", None, {":b": B}),
    ("SET tags = list_append(tags, :more)", None, {":more": {"L": [A, B]}}),
    ("ADD counted :b, kinds :set DELETE sizes.kinds :x", None,
     {":b": B, ":set": {"SS": ["q"]}, ":x": {"SS": ["x"]}}),
    ("REMOVE tags[1], tags[0]", None, None),
    ("SET a = :a SET b = :a", None, {":a": A}),
    ("REMOVE a REMOVE b", None, None),
    ("SET a = :a, a = :a", None, {":a": A}),
    ("SET sizes.width = :a, sizes.width.more = :a", None, {":a": A}),
    ("SET #a = :a, #b = :a", {"#a": "same", "#b": "same"}, {":a": A}),
    ("SET image = :a", None, {":a": A}),
    ("SET #a = :a", {"#a": "image"}, {":a": A}),
    ("SET #a = :missing", {"#a": "label"}, {":a": A}),
    ("SET #missing = :a", {"#a": "label"}, {":a": A}),
    ("SET a = :a", {"#unused": "label"}, {":a": A, ":unused": A}),
    ("SET nothing.there = :a", None, {":a": A}),
    ("SET a = nothing", None, {":a": A}),
    ("SET a = label + :a", None, {":a": A}),
    ("SET status = :a", None, {":a": A}),
    ("SET classified_at = :b", None, {":b": B}),
    ("SET classified_at = :e", None, {":e": {"S": ""}}),
    ("SET a :a", None, {":a": A}),
    ("", None, None),
    ("SET big = :big", None, {":big": {"S": "x" * 300_000}}),
    ("SET big2 = :big", None, {":big": {"S": "x" * 300_000}}),
]  # fmt: skip
CONDITIONS: list[tuple[str, dict[str, str] | None, dict[str, Any] | None]] = [
    ("attribute_exists(image) AND (confidence >= :b OR NOT #l = :a)", {"#l": "list"},
     {":a": A, ":b": B}),
    ("confidence BETWEEN :b AND :c", None, {":b": B, ":c": {"N": "3"}}),
    ("#l IN (:a, :b)", {"#l": "list"}, {":a": A, ":b": B}),
    ("size(tags) > :b", None, {":b": B}),
    ("begins_with(image, :a) OR contains(tags, :a)", None, {":a": A}),
    ("attribute_type(sizes, :t) AND sizes.width < :b", None, {":t": {"S": "M"}, ":b": B}),
    ("attribute_not_exists(tags[1]) OR tags[0] <> :a", None, {":a": A}),
    ("confidence = :missing", None, {":a": A}),
    ("#missing = :a", None, {":a": A}),
    ("((image = :a))", None, {":a": A}),
    ("status = :a", None, {":a": A}),
    ("image = ", None, {":a": A}),
    ("(image = :a", None, {":a": A}),
    ("image = :a AND", None, {":a": A}),
    ("confidence BETWEEN :n AND :b", None, {":n": {"NULL": True}, ":b": B}),
]  # fmt: skip


def test_quick_answers_are_the_same(quick_aws: pytest.MonkeyPatch) -> None:
    quick = [*answers()]
    quick_aws.undo()
    try:
        plain = [*answers()]
    finally:
        quick_moto.quicken(quick_aws)
        quick_sdk.quicken(quick_aws)
    assert len(quick) == len(plain) > 100
    for found, expected in zip(quick, plain, strict=True):
        assert found == expected


def answers() -> Iterator[Any]:
    with mock_aws():
        dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
        create_predictions_table(dynamodb, "t")
        for about in UPDATES:
            yield about[0], answer(dynamodb.update_item, **update(*about))  # of an item that is new
            dynamodb.put_item(TableName="t", Item=ITEM)
            yield answer(dynamodb.update_item, **update(*about))
            yield answer(dynamodb.update_item, **update(*about))  # upon what it left
            yield answer(dynamodb.get_item, TableName="t", Key=KEY)
            dynamodb.delete_item(TableName="t", Key=KEY)
        dynamodb.put_item(TableName="t", Item=ITEM)
        for condition in CONDITIONS:
            yield from conditional(dynamodb, *condition)
        yield from objects(s3)
        yield from messages(boto3.client("sqs"))


def answer(call: Any, **request: Any) -> Any:
    try:
        told = call(**request)
    except ClientError as error:
        return error.response["Error"], error.response.get("Item")
    except Exception as error:  # noqa: BLE001 - moto's own, which must be the same too
        return repr(error)
    return {name: value for name, value in told.items() if name != "ResponseMetadata"}


def update(expression: str, names: Any, values: Any) -> dict[str, Any]:
    about = {"TableName": "t", "Key": KEY, "UpdateExpression": expression}
    return about | given(names, values) | {"ReturnValues": "ALL_NEW"}


def given(names: Any, values: Any) -> dict[str, Any]:
    named = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
    return {name: each for name, each in named.items() if each is not None}


def conditional(dynamodb: Any, condition: str, names: Any, values: Any) -> Iterator[Any]:
    about = {"TableName": "t"} | given(names, values)
    yield condition, answer(dynamodb.scan, FilterExpression=condition, **about)
    item = {"Item": ITEM, "ConditionExpression": condition}
    yield answer(dynamodb.put_item, ReturnValuesOnConditionCheckFailure="ALL_OLD", **item, **about)
    absent = {"Key": {"image": {"S": "absent"}}, "ConditionExpression": condition}
    yield answer(dynamodb.delete_item, **absent, **about)


def objects(s3: Any) -> Iterator[Any]:
    s3.create_bucket(Bucket="images")
    for key in ("incoming/dog.jpg", "incoming/a b+c%20é.jpg", "🐶/=&?#.jpg"):
        yield answer(s3.put_object, Bucket="images", Key=key, Body=b"dog")
        yield s3.get_object(Bucket="images", Key=key)["Body"].read()
    listed = s3.list_objects_v2(Bucket="images")["Contents"]
    yield [(each["Key"], each["Size"], each["ETag"]) for each in listed]
    yield answer(s3.get_object, Bucket="images", Key="missing")
    yield answer(s3.get_object, Bucket="missing", Key="missing")


def messages(sqs: Any) -> Iterator[Any]:
    for period in ("60", "1209600"):
        about = {"MessageRetentionPeriod": period}
        url = sqs.create_queue(QueueName=f"kept-{period}", Attributes=about)["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="body")
        yield [each["Body"] for each in sqs.receive_message(QueueUrl=url)["Messages"]]
        yield answer(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=[*about])
    yield answer(sqs.get_queue_attributes, QueueUrl="https://x/missing", AttributeNames=[*about])
