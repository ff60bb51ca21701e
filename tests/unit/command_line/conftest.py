"""A deployed stack as the commands see it: moto's S3 and Step Functions, and no sockets."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from bulk.run import RunFiles
from imagedrop.cli import app
from imagedrop.commands import bulk, bulk_start
from imagedrop.target import Target
from imagedrop.target_name import TargetName
from tests.kms_etags import answer_as_kms


@dataclass
class Stack:
    """Images in ``images``, work files in ``work``, and a workflow that only begins."""

    s3: Any
    stepfunctions: Any
    target: Target

    def put(self, key: str, body: bytes = b"x", bucket: str = "images") -> None:
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)

    def keys(self, bucket: str = "images") -> list[str]:
        found = self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return [each["Key"] for each in found]

    def versions(self, bucket: str = "images") -> dict[str, int]:
        """How many versions each key has."""
        found = self.s3.list_object_versions(Bucket=bucket).get("Versions", [])
        return dict(Counter(each["Key"] for each in found))

    def body(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket="images", Key=key)["Body"].read())

    def executions(self) -> dict[str, dict[str, Any]]:
        """The inputs, by name."""
        arn = self.target.outputs["BulkStateMachineArn"]
        found = self.stepfunctions.list_executions(stateMachineArn=arn)["executions"]
        return {
            each["name"]: json.loads(
                self.stepfunctions.describe_execution(executionArn=each["executionArn"])["input"]
            )
            for each in found
        }

    def end(self, name: str) -> None:
        """The execution is no longer running."""
        arn = self.target.outputs["BulkStateMachineArn"].replace("stateMachine", "execution")
        self.stepfunctions.stop_execution(executionArn=f"{arn}:{name}")

    def write_report(self, run: str, **changes: Any) -> None:
        body = json.dumps(report(run, **changes)).encode()
        self.put(RunFiles(run).report_json, body, "work")

    def write_ledger(self, run: str, chunk: str, *entries: dict[str, Any]) -> None:
        body = b"".join(json.dumps(each).encode() + b"\n" for each in entries)
        self.put(RunFiles(run).ledger(chunk), body, "work")

    def bulk(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["bulk", *words])


def report(run: str, **changes: Any) -> dict[str, Any]:
    return {
        "run": run,
        "source": {"kind": "folder", "bucket": "images", "prefix": "folders/dogs/"},
        "model": "dogs@1",
        "direct": False,
        "status": "COMPLETE",
        "started_at": "2026-11-25T15:45:12.000Z",
        "finished_at": "2026-11-25T15:46:12.000Z",
        "seconds": 60.0,
        "listed": 3,
        "classified": 2,
        "rejected": 1,
        "skipped": 0,
        "failed": 0,
        "ignored": 0,
        "unaccounted": 0,
        "rounds": 1,
        "labels": {"pug": 2},
        "confidence_histogram": [0] * 19 + [2],
        "rejections": {"truncated": 1},
        "skips": {},
        "failures": {},
        "examples": {"rejected": [], "failed": []},
        "images_per_second": 0.1,
        "transform_jobs": [],
        "shards": 1,
        "instance_type": "ml.m5.xlarge",
        "instance_count": 1,
        "function_seconds": {"prepare": 2.0, "record": 1.0},
        "instance_hours": 0.1,
        "ledger": f"s3://work/work/{run}/ledger/",
    } | changes


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    answer_as_kms(monkeypatch)  # as the template's buckets do
    with mock_aws():
        session = boto3.Session(region_name="us-east-1")
        s3, stepfunctions = session.client("s3"), session.client("stepfunctions")
        for name in ("images", "work"):
            s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket="images", VersioningConfiguration={"Status": "Enabled"})
        machine = stepfunctions.create_state_machine(
            name="stack-bulk",
            definition='{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}',
            roleArn="arn:aws:iam::123456789012:role/bulk",
        )
        outputs = {
            "ImagesBucketName": "images",
            "WorkBucketName": "work",
            "BulkStateMachineArn": machine["stateMachineArn"],
        }
        target = Target(session, outputs)

        def find(_name: TargetName) -> Target:
            return target

        for command in (bulk, bulk_start):
            monkeypatch.setattr(command, "find_target", find)
        yield Stack(s3, stepfunctions, target)
