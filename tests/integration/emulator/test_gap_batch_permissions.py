"""Contract: with policies enforced, SQS's batch calls need the permission of the single call."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from localcloud import aws
from tests.integration.emulator.emulator_harness import Emulator

_QUEUE = "arn:aws:sqs:us-east-1:000000000000:letters"


def test_who_may_send_a_message_may_send_ten_and_delete_none(strict: Emulator) -> None:
    url = strict.client("sqs").create_queue(QueueName="letters")["QueueUrl"]
    iam = strict.client("iam")
    iam.create_user(UserName="sender")
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": _QUEUE}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName="sender", PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="sender")["AccessKey"]
    sqs = aws.session().client(
        "sqs",
        endpoint_url=strict.url,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )

    sent = sqs.send_message_batch(
        QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(10)]
    )

    assert len(sent["Successful"]) == 10
    with pytest.raises(ClientError, match="AccessDenied"):
        sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "0", "ReceiptHandle": "handle"}])
