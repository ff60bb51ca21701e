"""Contract: with IAM enforced, a policy that denies what is not TLS lets local calls pass."""

from __future__ import annotations

from typing import Any

from tests.integration.emulator.emulator_harness import Emulator, outputs


def _statement(effect: str, **fields: Any) -> dict[str, Any]:
    return {
        "Effect": effect,
        "Action": "sqs:SendMessage",
        "Resource": {"Fn::GetAtt": ["Queue", "Arn"]},
        **fields,
    }


def test_bucket_may_send_to_a_queue_that_takes_tls_only(strict: Emulator) -> None:
    not_tls = {"Bool": {"aws:SecureTransport": "false"}}
    template = {
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue"},
            "QueuePolicy": {
                "Type": "AWS::SQS::QueuePolicy",
                "Properties": {
                    "Queues": [{"Ref": "Queue"}],
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            _statement("Allow", Principal={"Service": "s3.amazonaws.com"}),
                            _statement("Deny", Principal="*", Condition=not_tls),
                        ],
                    },
                },
            },
            "Bucket": {
                "Type": "AWS::S3::Bucket",
                "DependsOn": "QueuePolicy",
                "Properties": {
                    "NotificationConfiguration": {
                        "QueueConfigurations": [
                            {
                                "Event": "s3:ObjectCreated:*",
                                "Queue": {"Fn::GetAtt": ["Queue", "Arn"]},
                            }
                        ]
                    }
                },
            },
        },
        "Outputs": outputs(Queue={"Ref": "Queue"}),
    }
    stack = strict.deploy("tls", template)  # S3 refuses a queue it may not send to

    received = strict.client("sqs").receive_message(QueueUrl=stack["Queue"])
    assert "s3:TestEvent" in received["Messages"][0]["Body"]
