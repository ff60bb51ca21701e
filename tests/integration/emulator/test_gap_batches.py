"""Contract: a mapping waits for its batch, and takes more than ten messages at once."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.emulator.emulator_harness import (
    Emulator,
    eventually,
    outputs,
    python_function,
)

_REPORT_BATCH = """
import json, os
import boto3

def handler(event, context):
    boto3.client("sqs").send_message(
        QueueUrl=os.environ["RESULTS"],
        MessageBody=json.dumps([record["body"] for record in event["Records"]]),
    )
"""


def _template(window_seconds: int) -> dict[str, Any]:
    return {
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Results": {"Type": "AWS::SQS::Queue"},
            "Function": python_function(_REPORT_BATCH, {"RESULTS": {"Ref": "Results"}}),
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                    "FunctionName": {"Ref": "Function"},
                    "BatchSize": 25,
                    "MaximumBatchingWindowInSeconds": window_seconds,
                },
            },
        },
        "Outputs": outputs(Queue={"Ref": "Queue"}, Results={"Ref": "Results"}),
    }


def test_messages_within_the_window_arrive_as_one_batch_of_up_to_25(emulator: Emulator) -> None:
    stack = emulator.deploy("batches", _template(window_seconds=3))
    sqs = emulator.client("sqs")

    for tens in range(3):
        sqs.send_message_batch(
            QueueUrl=stack["Queue"],
            Entries=[
                {"Id": str(n), "MessageBody": str(tens * 10 + n)} for n in range(10 if tens else 8)
            ],
        )

    def sizes() -> list[int] | None:
        received = sqs.receive_message(QueueUrl=stack["Results"], MaxNumberOfMessages=10)
        found.update(
            {m["MessageId"]: len(json.loads(m["Body"])) for m in received.get("Messages", [])}
        )
        return sorted(found.values()) if sum(found.values()) >= 28 else None

    found: dict[str, int] = {}
    # 25 at once without waiting; the other three when their window is over.
    assert eventually(sizes) == [3, 25]
