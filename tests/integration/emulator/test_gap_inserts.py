"""Contract: PartiQL's INSERT is a PutItem that refuses an item that is there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import aws
from tests.integration.emulator.emulator_harness import Emulator

_INSERT = """INSERT INTO "inserts" VALUE {'image': ?, 'key': ?, 'predictions': ?}"""


def _statement(image: str) -> dict[str, Any]:
    predictions = {"L": [{"M": {"label": {"S": "pug"}, "confidence": {"N": "0.5"}}}]}
    return {"Statement": _INSERT, "Parameters": [{"S": image}, {"S": "it's"}, predictions]}


def _make_table(dynamodb: Any) -> str:
    made = dynamodb.create_table(
        TableName="inserts",
        KeySchema=[{"AttributeName": "image", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "image", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return str(made["TableDescription"]["LatestStreamArn"])


def test_an_insert_is_in_the_stream_and_leaves_what_is_there(emulator: Emulator) -> None:
    dynamodb, streams = emulator.client("dynamodb"), emulator.client("dynamodbstreams")
    stream = _make_table(dynamodb)
    dynamodb.put_item(TableName="inserts", Item={"image": {"S": "1"}, "key": {"S": "mine"}})

    answers = dynamodb.batch_execute_statement(Statements=[_statement(n) for n in "012"])

    codes = [each.get("Error", {}).get("Code") for each in answers["Responses"]]
    assert codes == [None, "DuplicateItem", None]
    items = dynamodb.scan(TableName="inserts")["Items"]
    assert {item["image"]["S"]: item["key"]["S"] for item in items} == {
        "0": "it's",
        "1": "mine",
        "2": "it's",
    }
    (shard,) = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = streams.get_records(ShardIterator=iterator)["Records"]
    assert [record["dynamodb"]["Keys"]["image"]["S"] for record in records] == ["1", "0", "2"]
    assert records[-1]["dynamodb"]["NewImage"]["predictions"] == _statement("2")["Parameters"][2]


def test_inserts_need_their_own_permission(strict: Emulator) -> None:
    _make_table(strict.client("dynamodb"))
    iam = strict.client("iam")
    iam.create_user(UserName="writer")
    key = iam.create_access_key(UserName="writer")["AccessKey"]
    dynamodb = aws.session().client(
        "dynamodb",
        endpoint_url=strict.url,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )

    def allow(action: str) -> None:
        table = "arn:aws:dynamodb:us-east-1:000000000000:table/inserts"
        statement = {"Effect": "Allow", "Action": action, "Resource": table}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_user_policy(UserName="writer", PolicyName="p", PolicyDocument=json.dumps(policy))

    allow("dynamodb:PutItem")
    with pytest.raises(ClientError, match="AccessDenied"):
        dynamodb.batch_execute_statement(Statements=[_statement("0")])
    allow("dynamodb:PartiQLInsert")
    (answer,) = dynamodb.batch_execute_statement(Statements=[_statement("0")])["Responses"]
    assert "Error" not in answer
