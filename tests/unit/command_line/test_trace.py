"""`imagedrop trace` prints an image's history, and names what it could not look up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from changes.journal_table import JournalTable
from imagedrop.cli import app
from imagedrop.commands import trace as command
from imagedrop.target import Target
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.log_lines import image_id
from tests.model_archives import card
from tests.tables import classified, image_ref
from tests.template_resources import create_predictions_table, resources

GROUP = "/stack/classify"


@dataclass(frozen=True, slots=True)
class Stack:
    table: PredictionsTable
    journal: JournalTable
    logs: Any

    def log(self, image: str, message: str) -> None:
        """Writes a line about an image, half a second after it came."""
        line = {
            "timestamp": "2026-11-24T06:00:00.500+00:00",
            "message": message,
            "image_id": image_id(image),
            "error": "SlowDown",
        }
        at = round(datetime.fromisoformat(line["timestamp"]).timestamp() * 1000)
        event = {"timestamp": at, "message": json.dumps(line)}
        self.logs.put_log_events(logGroupName=GROUP, logStreamName="one", logEvents=[event])

    def trace(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["trace", *words])


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    with mock_aws():
        session = boto3.Session(region_name="us-east-1")
        dynamodb = session.client("dynamodb")
        create_predictions_table(dynamodb, "predictions")
        given: Any = resources()["JournalTable"]["Properties"]
        dynamodb.create_table(
            TableName="journal",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=given["KeySchema"],
            AttributeDefinitions=given["AttributeDefinitions"],
        )
        s3, logs = session.client("s3"), session.client("logs")
        s3.create_bucket(Bucket="models")
        body = json.dumps(card(labels=["beagle", "pug"])).encode()
        s3.put_object(Bucket="models", Key="models/dogs/model.json", Body=body)
        logs.create_log_group(logGroupName=GROUP)
        logs.create_log_stream(logGroupName=GROUP, logStreamName="one")
        outputs = {
            "ImagesBucketName": "stack-images-1",
            "PredictionsTableName": "predictions",
            "JournalTableName": "journal",
            "ModelsBucketName": "models",
            "DefaultModelDataUrl": "s3://models/models/dogs/model.tar.gz",
        }
        target = Target(session, outputs)
        monkeypatch.setattr(command, "find_target", lambda _name: target)
        yield Stack(target.predictions_table(), JournalTable(dynamodb, "journal"), logs)


def drop(stack: Stack, model: str) -> str:
    ref = image_ref(bucket="stack-images-1")
    assert stack.table.write(classified(ref, model=model), ref)
    return ref.image


def test_the_way_is_told_in_the_order_of_time(stack: Stack) -> None:
    image = drop(stack, f"{card()['name']}@{card()['version']}")
    stack.log(image, "image failed for now")
    told = stack.trace("incoming/dog.jpg", "--format", "jsonl")
    assert told.exit_code == 0, told.exception
    steps = [json.loads(line) for line in told.stdout.splitlines()]
    assert [step["what"] for step in steps] == [
        *("model trained", "uploaded", "log: image failed for now", "classified")
    ]


def test_the_image_s_lines_of_the_log_are_found_by_its_id(stack: Stack) -> None:
    image = drop(stack, "dogs@1")
    stack.log(image, "image failed for now")
    stack.log("s3://bucket/another.jpg", "image failed")
    told = stack.trace("dog.jpg", "--format", "jsonl")
    steps = [json.loads(line) for line in told.stdout.splitlines()]
    found = [step for step in steps if step["what"].startswith("log: ")]
    assert [(step["what"], step["detail"]) for step in found] == [
        ("log: image failed for now", "error SlowDown")
    ]


def test_an_answer_that_was_replaced_is_a_step(stack: Stack) -> None:
    drop(stack, "dogs@2")
    ref = image_ref(bucket="stack-images-1")
    stack.journal.keep(classified(ref, "basset", at="2026-11-23T06:00:00.000Z"))
    told = stack.trace("dog.jpg", "--format", "jsonl")
    first, *_ = [json.loads(line) for line in told.stdout.splitlines()]
    assert (first["what"], first["detail"]) == (
        *("classified before", "basset by dogs@1, version v1"),
    )


def test_what_cannot_be_looked_up_is_said(stack: Stack) -> None:
    drop(stack, "others@9")
    stack.logs.delete_log_group(logGroupName=GROUP)
    told = stack.trace("dog.jpg")
    assert told.exit_code == 0, told.exception
    assert "the registry does not know the model others@9" in told.stderr
    assert "the log was not read: ResourceNotFoundException" in told.stderr
    assert "uploaded" in told.stdout
