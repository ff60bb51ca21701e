"""Contract: a role of a stack may do what both its policies and its permissions boundary allow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import aws, processes
from tests.integration.emulator.emulator_harness import Emulator, outputs, start_emulator
from tests.integration.emulator.fake_sagemaker import running_fake_sagemaker

_ROOT = "arn:aws:iam::000000000000:root"


def _policy(resource: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _template(*, boundary: bool) -> dict[str, Any]:
    """A role that may send to every queue, with or without a boundary to the queue `letters`."""
    trust = {"Effect": "Allow", "Principal": {"AWS": _ROOT}, "Action": "sts:AssumeRole"}
    role = {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "Policies": [{"PolicyName": "every-queue", "PolicyDocument": _policy("*")}],
    }
    bounded = {"PermissionsBoundary": {"Ref": "Boundary"}} if boundary else {}
    letters = _policy("arn:aws:sqs:us-east-1:000000000000:letters")
    resources: dict[str, Any] = {
        "Boundary": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": letters}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": role | bounded},
    }
    return {"Resources": resources, "Outputs": outputs(RoleArn={"Fn::GetAtt": ["Role", "Arn"]})}


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Emulator]:
    with running_fake_sagemaker() as sagemaker:
        emulator = start_emulator(tmp_path, sagemaker, "--enforce-iam")
        try:
            for name in ("letters", "parcels"):
                emulator.client("sqs").create_queue(QueueName=name)
            yield emulator
        finally:
            processes.stop(emulator.process, grace_seconds=20)


def _send(emulator: Emulator, role_arn: str, queue: str) -> None:
    """Send as the stack's role."""
    assumed = emulator.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="test")
    given = assumed["Credentials"]
    sqs = aws.session().client(
        "sqs",
        endpoint_url=emulator.url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    sqs.send_message(QueueUrl=f"{emulator.url}/000000000000/{queue}", MessageBody="x")


def test_boundary_of_a_stack_limits_its_role_until_it_is_taken_away(strict: Emulator) -> None:
    role_arn = strict.deploy("roles", _template(boundary=True))["RoleArn"]
    _send(strict, role_arn, "letters")
    with pytest.raises(ClientError, match="AccessDenied"):
        _send(strict, role_arn, "parcels")

    strict.deploy("roles", _template(boundary=False))
    _send(strict, role_arn, "parcels")
