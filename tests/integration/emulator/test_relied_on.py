"""MiniStack's behaviour that the pipeline relies on; a newer MiniStack must keep it."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

from tests.integration.emulator.emulator_harness import (
    Emulator,
    eventually,
    outputs,
    python_function,
)

_FAIL_THE_BAD_ONES = """
def handler(event, context):
    bad = [r["messageId"] for r in event["Records"] if r["body"] == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in bad]}
"""


def _queue_with_dead_letters(visibility_timeout_seconds: int) -> dict[str, Any]:
    return {
        "DeadLetters": {"Type": "AWS::SQS::Queue"},
        "Queue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "VisibilityTimeout": visibility_timeout_seconds,
                "RedrivePolicy": {
                    "deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetters", "Arn"]},
                    "maxReceiveCount": 2,
                },
            },
        },
    }


def test_only_reported_messages_come_again_and_then_lie_in_the_dead_letter_queue(
    emulator: Emulator,
) -> None:
    template = {
        "Resources": {
            **_queue_with_dead_letters(visibility_timeout_seconds=1),
            "Function": python_function(_FAIL_THE_BAD_ONES),
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                    "FunctionName": {"Ref": "Function"},
                    "FunctionResponseTypes": ["ReportBatchItemFailures"],
                },
            },
        },
        "Outputs": outputs(Queue={"Ref": "Queue"}, DeadLetters={"Ref": "DeadLetters"}),
    }
    stack = emulator.deploy("redrive", template)
    sqs = emulator.client("sqs")

    sqs.send_message_batch(
        QueueUrl=stack["Queue"],
        Entries=[
            {"Id": "1", "MessageBody": "good"},
            {"Id": "2", "MessageBody": "bad"},
            {"Id": "3", "MessageBody": "good"},
        ],
    )

    def dead_letters() -> list[dict[str, Any]] | None:
        received = sqs.receive_message(
            QueueUrl=stack["DeadLetters"], AttributeNames=["ApproximateReceiveCount"]
        )
        messages: list[dict[str, Any]] | None = received.get("Messages")
        return messages

    (dead,) = eventually(dead_letters)
    assert dead["Body"] == "bad"
    left = sqs.get_queue_attributes(QueueUrl=stack["Queue"], AttributeNames=["All"])["Attributes"]
    assert left["ApproximateNumberOfMessages"] == "0"
    assert left["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_bucket_tells_its_queue_of_versions_in_order_with_encoded_keys(emulator: Emulator) -> None:
    template = {
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Bucket": {
                "Type": "AWS::S3::Bucket",
                "Properties": {
                    "VersioningConfiguration": {"Status": "Enabled"},
                    "NotificationConfiguration": {
                        "QueueConfigurations": [
                            {
                                "Event": event,
                                "Queue": {"Fn::GetAtt": ["Queue", "Arn"]},
                                "Filter": {
                                    "S3Key": {"Rules": [{"Name": "prefix", "Value": "incoming/"}]}
                                },
                            }
                            for event in ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
                        ]
                    },
                },
            },
        },
        "Outputs": outputs(Queue={"Ref": "Queue"}, Bucket={"Ref": "Bucket"}),
    }
    stack = emulator.deploy("notifications", template)
    s3 = emulator.client("s3")
    key = "incoming/a b+c%20é.jpg"

    put = s3.put_object(Bucket=stack["Bucket"], Key=key, Body=b"bytes")
    s3.put_object(Bucket=stack["Bucket"], Key="elsewhere/x.jpg", Body=b"bytes")
    deleted = s3.delete_object(Bucket=stack["Bucket"], Key=key)

    bodies = _received(emulator, stack["Queue"], 4)
    assert [b["Event"] for b in bodies if "Event" in b] == ["s3:TestEvent", "s3:TestEvent"]
    records = sorted(
        (record for b in bodies for record in b.get("Records", [])),
        key=lambda record: record["s3"]["object"]["sequencer"],
    )
    objects = [record["s3"]["object"] for record in records]
    assert [record["eventName"] for record in records] == [
        "ObjectCreated:Put",
        "ObjectRemoved:DeleteMarkerCreated",
    ]
    assert [o["versionId"] for o in objects] == [put["VersionId"], deleted["VersionId"]]
    assert {o["key"] for o in objects} == {"incoming/a+b%2Bc%2520%C3%A9.jpg"}
    assert urllib.parse.unquote_plus(objects[0]["key"]) == key


def _received(emulator: Emulator, queue_url: str, count: int) -> list[dict[str, Any]]:
    sqs = emulator.client("sqs")
    found: dict[str, dict[str, Any]] = {}

    def look() -> bool:
        received = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
        found.update({m["MessageId"]: json.loads(m["Body"]) for m in received.get("Messages", [])})
        return len(found) >= count

    eventually(look)
    return list(found.values())


def test_retained_table_outlives_its_stack_but_not_a_failed_first_deployment(
    emulator: Emulator,
) -> None:
    table = {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "RetainExceptOnCreate",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "image", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "image", "AttributeType": "S"}],
        },
    }
    stack = emulator.deploy(
        "retained", {"Resources": {"Table": table}, "Outputs": outputs(Table={"Ref": "Table"})}
    )
    emulator.delete("retained")
    assert stack["Table"] in emulator.client("dynamodb").list_tables()["TableNames"]

    failing = {
        "Resources": {
            "Table": table,
            "Bad": {
                "Type": "AWS::SageMaker::Endpoint",
                "DependsOn": "Table",
                "Properties": {"EndpointName": "fails", "EndpointConfigName": "c"},
            },
        }
    }
    emulator.sagemaker.failure_reason = "no memory"
    before = emulator.client("dynamodb").list_tables()["TableNames"]
    try:
        reasons = emulator.fail_to_deploy("failed", failing)
    finally:
        emulator.sagemaker.failure_reason = None

    assert any("no memory" in reason for reason in reasons)
    assert emulator.client("dynamodb").list_tables()["TableNames"] == before
    assert "fails" not in emulator.sagemaker.endpoints
