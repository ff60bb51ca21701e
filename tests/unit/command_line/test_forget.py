"""A forgotten image is erased everywhere, and no late event restores it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from imagedrop.cli import app
from imagedrop.commands import forget as forget_cli
from imagedrop.errors import UserError
from imagedrop.forget import FORGOTTEN, Forgetting
from imagedrop.target import Target
from pipeline import records
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.answers import Answer, Prediction
from pipeline.events import NO_SEQUENCER, Change, ImageRef, utc_text
from pipeline.records import Record, Status, Written
from tests.s3_events import BUCKET, queue_body, s3_record

KEY = "incoming/a b+c%20é.jpg"
NEIGHBOUR = KEY + ".other"
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


@dataclass(frozen=True, slots=True)
class Photo:
    format: str = "JPEG"
    width: int = 16
    height: int = 16


@dataclass
class Stack:
    """All traces of an image, in moto; ``calls`` are the requested actions."""

    target: Target
    s3: Any
    table: PredictionsTable
    sqs: Any
    calls: set[str] = field(default_factory=set)

    def drop(self, key: str = KEY, label: str = "pug") -> ImageRef:
        """An upload, its row, and a dead letter of a duplicate of its event."""
        version = self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")["VersionId"]
        ref = image_ref(key, version)
        self.table.write(answered(ref, label), ref)
        self.sqs.send_message(
            QueueUrl=self.target.outputs["DeadLetterQueueUrl"],
            MessageBody=queue_body(s3_record(key, version=version)),
        )
        return ref

    def forget(self, key: str = KEY) -> Result:
        return CliRunner().invoke(app, ["forget", key, "--yes"])

    def row(self, key: str = KEY) -> Record | None:
        return self.table.get(f"s3://{BUCKET}/{key}")

    def versions(self) -> list[str]:
        found = self.s3.list_object_versions(Bucket=BUCKET)
        return [
            each["Key"] for name in ("Versions", "DeleteMarkers") for each in found.get(name, [])
        ]

    def letters(self) -> int:
        attributes = self.sqs.get_queue_attributes(
            QueueUrl=self.target.outputs["DeadLetterQueueUrl"], AttributeNames=["All"]
        )["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"])


def image_ref(key: str, version: str, seconds: float = 0, sequencer: str = "0A") -> ImageRef:
    """An event of now, or of so many seconds later."""
    at = utc_text(datetime.now(UTC) + timedelta(seconds=seconds))
    return ImageRef(BUCKET, key, version, True, sequencer.ljust(40, "0"), 1, at, Change.CREATED)


def answered(ref: ImageRef, label: str = "pug") -> Record:
    answer = Answer(label, 0.9, (Prediction(label, 0.9),), "dogs@1")
    return records.classified(ref, Photo(), answer, "2026-11-25T08:00:00.000Z")


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    with mock_aws():
        session = boto3.Session(region_name="us-east-1")
        s3, sqs, dynamodb = (session.client(name) for name in ("s3", "sqs", "dynamodb"))
        for name in (BUCKET, "work"):
            s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        dynamodb.create_table(
            TableName="predictions",
            KeySchema=[{"AttributeName": "image", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "image", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        outputs = {
            "ImagesBucketName": BUCKET,
            "WorkBucketName": "work",
            "PredictionsTableName": "predictions",
            "ImagesQueueUrl": sqs.create_queue(QueueName="images")["QueueUrl"],
            "DeadLetterQueueUrl": sqs.create_queue(QueueName="dead")["QueueUrl"],
        }
        target = Target(session, outputs)
        made = Stack(target, s3, PredictionsTable(dynamodb, "predictions"), sqs)

        def note(model: Any, **_: Any) -> None:
            made.calls.add(f"{model.service_model.service_name}:{model.name}")

        session.events.register("before-call", note)
        monkeypatch.setattr(forget_cli, "find_target", lambda _name: target)
        yield made


def test_forgetting_takes_versions_prediction_and_letters_and_nothing_else(stack: Stack) -> None:
    stack.drop()
    stack.drop()
    stack.drop(NEIGHBOUR)
    stack.s3.delete_object(Bucket=BUCKET, Key=KEY)  # a delete marker
    told = stack.forget(f"s3://{BUCKET}/{KEY}")
    assert told.exit_code == 0
    assert "3 versions, 1 predictions, 2 dead letters" in " ".join(told.stderr.split())
    assert stack.versions() == [NEIGHBOUR]
    assert stack.letters() == 1
    neighbour = stack.row(NEIGHBOUR)
    assert neighbour is not None
    assert neighbour.label == "pug"


def test_a_letter_that_speaks_of_another_image_too_stays(stack: Stack) -> None:
    stack.sqs.send_message(
        QueueUrl=stack.target.outputs["DeadLetterQueueUrl"],
        MessageBody=queue_body(s3_record(KEY), s3_record(NEIGHBOUR)),
    )
    stack.forget()
    assert stack.letters() == 1


def test_what_stays_is_the_address_and_nothing_that_the_image_showed(stack: Stack) -> None:
    stack.drop()
    stack.forget()
    row = stack.row()
    assert row is not None
    assert (row.status, row.reason) == (Status.DELETED, FORGOTTEN)
    assert (row.label, row.confidence, row.predictions, row.format) == (None, None, (), None)
    assert (row.width, row.height, row.bytes) == (None, None, 0)


def test_forgetting_twice_changes_nothing(stack: Stack) -> None:
    stack.drop()
    stack.forget()
    before = stack.row()
    again = stack.forget()
    assert (again.exit_code, stack.row()) == (0, before)
    assert "nothing of" in again.stderr


def test_an_image_that_never_was_leaves_no_trace(stack: Stack) -> None:
    assert stack.forget("incoming/typo.jpg").exit_code == 0
    assert stack.row("incoming/typo.jpg") is None


def test_an_interrupted_forgetting_is_finished_by_the_next(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.drop()
    real = Forgetting._bury

    def interrupted(*arguments: Any) -> int:
        real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Forgetting, "_bury", interrupted)
        assert stack.forget().exit_code != 0
    assert stack.versions() == [KEY]
    assert stack.forget().exit_code == 0
    assert (stack.versions(), stack.letters()) == ([], 0)


def test_a_function_that_had_read_the_image_already_cannot_write_its_prediction(
    stack: Stack,
) -> None:
    late = image_ref(KEY, stack.drop().version, sequencer="FF")
    stack.forget()
    assert not stack.table.write(answered(late), late)
    row = stack.row()
    assert row is not None
    assert row.label is None


def test_an_event_that_finds_the_image_gone_does_not_replace_the_tombstone(stack: Stack) -> None:
    late = stack.drop()
    stack.forget()
    before = stack.row()
    assert not stack.table.write(records.deleted(late, "now", reason="gone"), late)
    assert stack.row() == before


def test_the_events_of_the_erasure_change_nothing(stack: Stack) -> None:
    ref = stack.drop()
    stack.forget()
    before = stack.row()
    erasure = replace(
        image_ref(KEY, ref.version, 5, "FF"), change=Change.REMOVED, version_removed=True
    )
    assert not stack.table.write(records.deleted(erasure, "now"), erasure)
    assert stack.row() == before


def test_a_bulk_run_that_goes_on_with_prepared_pixels_cannot_write_either(stack: Stack) -> None:
    listed = replace(stack.drop(), sequencer=NO_SEQUENCER)
    stack.forget()
    assert stack.table.write_listed(answered(listed), listed) is Written.NEWER_VERSION


def test_an_upload_after_it_is_a_new_image(stack: Stack) -> None:
    stack.drop()
    stack.forget()
    again = image_ref(KEY, "v9", 5, "0B")
    assert stack.table.write(answered(again, "beagle"), again)
    row = stack.row()
    assert row is not None
    assert row.label == "beagle"


def test_runs_whose_work_files_may_hold_it_are_named(stack: Stack) -> None:
    sources: dict[str, dict[str, str]] = {
        "whole-bucket": {"kind": "folder", "bucket": BUCKET, "prefix": ""},
        "other-folder": {"kind": "folder", "bucket": BUCKET, "prefix": "folders/"},
        "other-bucket": {"kind": "folder", "bucket": "other", "prefix": "incoming/"},
        "by-list": {"kind": "list", "uri": "s3://b/keys.txt", "bucket": BUCKET},
    }
    for run, source in sources.items():
        body = json.dumps({"source": source}).encode()
        stack.s3.put_object(Bucket="work", Key=f"work/{run}/run.json", Body=body)
    stack.drop()
    told = stack.forget().stderr
    assert [run for run in sources if run in told] == ["whole-bucket", "by-list"]


def test_an_address_of_another_bucket_is_refused(stack: Stack) -> None:
    stack.drop()
    refused = stack.forget(f"s3://other/{KEY}")
    assert isinstance(refused.exception, UserError)
    assert stack.versions() == [KEY]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("prefix", ["", f"s3://{BUCKET}/"])
def test_a_key_typed_in_another_unicode_form_is_forgotten_in_the_stored_one(
    stack: Stack, form: Literal["NFC", "NFD"], prefix: str
) -> None:
    stored = unicodedata.normalize("NFD" if form == "NFC" else "NFC", KEY)
    stack.drop(stored)
    stack.drop(NEIGHBOUR)
    told = stack.forget(prefix + unicodedata.normalize(form, KEY))
    assert "1 versions, 1 predictions, 1 dead letters" in " ".join(told.stderr.split())
    assert stack.versions() == [NEIGHBOUR]


def test_of_two_keys_that_look_the_same_the_typed_one_goes_and_the_other_is_named(
    stack: Stack,
) -> None:
    other = unicodedata.normalize("NFD", KEY)
    stack.drop(KEY)
    stack.drop(other)
    told = stack.forget(KEY)
    assert stack.versions() == [other]
    assert r"and stays: $'incoming/a b+c%20e\u0301.jpg'" in told.stderr


def test_of_two_keys_that_look_the_same_and_like_neither_none_goes(stack: Stack) -> None:
    typed = "incoming/\u212b\u00e9.jpg"  # the sign of angstrom, which no form keeps
    for form in ("NFC", "NFD"):
        stack.drop(unicodedata.normalize(form, typed))
    refused = stack.forget(typed).exception
    assert isinstance(refused, UserError)
    assert r"$'incoming/\u00c5\u00e9.jpg'" in refused.next_step
    assert len(stack.versions()) == 2


def test_forgetting_twice_in_two_forms_changes_nothing(stack: Stack) -> None:
    stack.drop(unicodedata.normalize("NFD", KEY))
    assert stack.forget(KEY).exit_code == 0
    assert "nothing of" in stack.forget(KEY).stderr
    assert stack.row(KEY) is None


def test_without_a_yes_nothing_is_erased(stack: Stack) -> None:
    stack.drop()
    answer = CliRunner().invoke(app, ["forget", KEY], input="n\n")
    assert (answer.exit_code, stack.versions(), stack.letters()) == (1, [KEY], 1)


def test_it_needs_the_permissions_that_the_docs_list_and_no_others(stack: Stack) -> None:
    stack.s3.put_object(Bucket="work", Key="work/run/run.json", Body=b"{}")
    stack.drop()
    stack.drop(NEIGHBOUR)
    stack.calls.clear()
    stack.forget()
    permissions = {
        "s3:ListObjectVersions": "s3:ListBucketVersions",
        "s3:DeleteObject": "s3:DeleteObjectVersion",
        "s3:ListObjectsV2": "s3:ListBucket",
        "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    }
    needed = {permissions.get(call, call) for call in stack.calls}
    section = OPERATIONS.read_text().partition("<!-- permissions of imagedrop forget -->\n")[2]
    listed = re.match(r"```\n(.*?)```\n", section, re.DOTALL)
    assert listed is not None
    assert set(listed[1].split()) == needed
