"""Contract: a mapping still serves its queue when the emulator comes back on another port."""

from __future__ import annotations

from pathlib import Path

from tests.integration.emulator.emulator_harness import (
    eventually,
    outputs,
    python_function,
    running_emulator,
)

_FORWARD = """
import os
import boto3

def handler(event, context):
    for record in event["Records"]:
        boto3.client("sqs").send_message(QueueUrl=os.environ["RESULTS"], MessageBody=record["body"])
"""


def test_mapping_serves_its_queue_after_a_restart_on_another_port(tmp_path: Path) -> None:
    template = {
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Results": {"Type": "AWS::SQS::Queue"},
            "Function": python_function(_FORWARD, {"RESULTS": {"Ref": "Results"}}),
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                    "FunctionName": {"Ref": "Function"},
                },
            },
        },
        "Outputs": outputs(
            Queue={"Fn::GetAtt": ["Queue", "QueueName"]},
            Results={"Fn::GetAtt": ["Results", "QueueName"]},
        ),
    }
    with running_emulator(tmp_path) as first:
        stack = first.deploy("ports", template)
    with running_emulator(tmp_path) as second:
        assert second.url != first.url
        sqs = second.client("sqs")
        queue_url = sqs.get_queue_url(QueueName=stack["Queue"])["QueueUrl"]
        assert queue_url.startswith(second.url)

        sqs.send_message(QueueUrl=queue_url, MessageBody="hello")

        results_url = sqs.get_queue_url(QueueName=stack["Results"])["QueueUrl"]
        received = eventually(lambda: sqs.receive_message(QueueUrl=results_url).get("Messages"))
        assert [message["Body"] for message in received] == ["hello"]
