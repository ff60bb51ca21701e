"""Contract: with policies enforced, a state machine does what its role allows and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.emulator.emulator_harness import (
    Emulator,
    outputs,
    python_function,
)

_ACCOUNT = "000000000000"
_FUNCTION = f"arn:aws:lambda:us-east-1:{_ACCOUNT}:function:worker"
_JOB = f"arn:aws:sagemaker:us-east-1:{_ACCOUNT}:transform-job/bulk-*"
_MACHINES = f"arn:aws:states:us-east-1:{_ACCOUNT}:stateMachine:*"
_SAGEMAKER = ("CreateTransformJob", "DescribeTransformJob", "StopTransformJob")
_ALL = (
    ("lambda:InvokeFunction", _FUNCTION),
    ("s3:GetObject", "arn:aws:s3:::work/chunks/*"),
    ("states:StartExecution", _MACHINES),
    ("events:PutEvents", f"arn:aws:events:us-east-1:{_ACCOUNT}:event-bus/default"),
    *((f"sagemaker:{action}", _JOB) for action in _SAGEMAKER),
)


@pytest.fixture(scope="module", autouse=True)
def work(strict: Emulator) -> None:
    """A function and a file of two items."""
    function = python_function("def handler(event, context): return event")
    function["Properties"]["FunctionName"] = "worker"
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "work"}}
    template = {"Resources": {"Function": function, "Work": bucket}, "Outputs": outputs()}
    strict.deploy("strict", template)
    strict.client("s3").put_object(Bucket="work", Key="chunks/0.json", Body=b"[1, 2]")


def _machine(emulator: Emulator, name: str, allowed: list[tuple[str, str]]) -> str:
    """Everything a bulk run does, by a role that may do what is `allowed`."""
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in allowed
    ]
    iam = emulator.client("iam")
    trusted = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}}
    role = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{**trusted, "Action": "sts:AssumeRole"}]}
        ),
    )["Role"]["Arn"]
    policy = {"Version": "2012-10-17", "Statement": statements}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    definition = {"StartAt": "Each", "States": _everything()}
    created = emulator.client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=role
    )
    arn: str = created["stateMachineArn"]
    return arn


def _everything() -> dict[str, Any]:
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Item",
        "States": {"Item": {"Type": "Task", "Resource": _FUNCTION, "End": True}},
    }
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON"},
        "Parameters": {"Bucket": "work", "Key": "chunks/0.json"},
    }
    name = {"TransformJobName.$": "States.Format('bulk-{}', $$.Execution.Name)"}
    entry = {"Source": "s", "DetailType": "t", "Detail": {}, "EventBusName": "default"}
    return {
        "Each": {"Type": "Map", "ItemReader": reader, "ItemProcessor": processor, "Next": "Make"},
        "Make": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sagemaker:createTransformJob.sync",
            "Parameters": name,
            "Next": "Look",
        },
        "Look": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeTransformJob",
            "Parameters": name,
            "Next": "Tell",
        },
        "Tell": {
            "Type": "Task",
            "Resource": "arn:aws:states:::events:putEvents",
            "Parameters": {"Entries": [entry]},
            "End": True,
        },
    }


def test_role_with_all_permissions_suffices(strict: Emulator) -> None:
    machine = _machine(strict, "all", list(_ALL))

    ended = strict.ended(strict.start(machine))

    assert ended["status"] == "SUCCEEDED", ended


@pytest.mark.parametrize("lacking", [action for action, _ in _ALL])
def test_each_permission_is_needed(strict: Emulator, lacking: str) -> None:
    allowed = [(action, resource) for action, resource in _ALL if action != lacking]
    machine = _machine(strict, f"without-{lacking.replace(':', '-')}", allowed)

    ended = strict.ended(strict.start(machine))

    assert ended["status"] == "FAILED"
    if lacking == "lambda:InvokeFunction":
        assert ended["error"] == "States.ExceedToleratedFailureThreshold"
    else:
        assert f"is not authorized to perform: {lacking}" in ended["cause"]


def test_permission_for_other_resources_does_not_suffice(strict: Emulator) -> None:
    elsewhere = [(a, r.replace("bulk-*", "other-*")) for a, r in _ALL]
    machine = _machine(strict, "elsewhere", elsewhere)

    assert "sagemaker:CreateTransformJob" in strict.ended(strict.start(machine))["cause"]
