"""The clients of AWS's services: the steps that they skip change no answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.utils import parse_timestamp

from pipeline import clients
from pipeline.table_items import to_item
from tests.tables import classified, dynamodb_with_table, image_ref

QUERY: dict[str, Any] = {
    "TableName": "predictions",
    "IndexName": "by_time",
    "KeyConditionExpression": "time_shard = :shard",
    "ExpressionAttributeValues": {":shard": {"S": "3"}},
    "Limit": 3,
}


def test_items_that_botocore_does_not_parse_are_the_same() -> None:
    with dynamodb_with_table() as dynamodb:
        for number in range(20):
            ref = image_ref(f"incoming/é {number}.jpg")
            dynamodb.put_item(TableName="predictions", Item=to_item(classified(ref), ref))
        parsed = dynamodb.query(**QUERY)
        dynamodb.meta.events.register("before-parse.dynamodb.Query", clients.items_as_sent)
        as_sent = dynamodb.query(**QUERY)
        assert len(as_sent["Items"]) == 3
        assert as_sent["LastEvaluatedKey"] == parsed["LastEvaluatedKey"]
        assert (as_sent["Items"], as_sent["Count"]) == (parsed["Items"], parsed["Count"])
        with pytest.raises(ClientError, match="ValidationException"):
            dynamodb.query(**QUERY | {"KeyConditionExpression": "time_shard > :shard"})


def test_the_functions_client_leaves_items_as_they_are_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    response: dict[str, Any] = {"body": json.dumps({"Count": 1, "Items": [{"a": {"S": "b"}}]})}
    own: dict[str, Any] = {}
    events = clients.client.__wrapped__("dynamodb").meta.events
    events.emit("before-parse.dynamodb.Query", response_dict=response, customized_response_dict=own)
    assert (own, json.loads(response["body"])) == ({"Items": [{"a": {"S": "b"}}]}, {"Count": 1})


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-29T01:02:03.000Z",
        "2026-11-29T01:02:03Z",
        "Sun, 29 Nov 2026 01:02:03 GMT",
        "2026-11-29T01:02:03+01:00",
        "20261129T010203Z",
        1764374400.5,
    ],
)
def test_times_are_those_that_botocore_reads(text: str | float) -> None:
    assert clients.moment(text) == parse_timestamp(text)


def test_what_is_no_time_is_an_error() -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        clients.moment("yesterday GMT")
