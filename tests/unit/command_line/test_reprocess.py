"""`imagedrop reprocess` writes the current model's answers into the rows, and loses nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from imagedrop.reprocess import choose, event_body, send_again, wait_for_answers
from imagedrop.target import Target
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.adapters.reviews_table import ReviewsTable
from pipeline.events import NO_SEQUENCER, ImageRef, parse_queue_body
from pipeline.records import Record, Status, Written
from pipeline.review import Action, ReviewRequest
from tests.tables import classified, dynamodb_with_table, image_ref

LATER = "2026-11-29T06:00:00.000Z"


class Stack(Target):
    """A table and a queue."""

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name="eu-central-1")  # type: ignore[call-overload]


@pytest.fixture
def stack() -> Iterator[Stack]:
    with mock_aws(), dynamodb_with_table():
        queue = boto3.client("sqs", region_name="eu-central-1").create_queue(QueueName="images")
        outputs = {
            "ImagesBucketName": "bucket",
            "PredictionsTableName": "predictions",
            "ImagesQueueUrl": queue["QueueUrl"],
        }
        yield Stack(None, outputs)  # type: ignore[arg-type]


def dropped(stack: Stack, key: str = "incoming/a b+ü.jpg") -> Record:
    ref = image_ref(key)
    record = classified(ref)
    assert stack.predictions_table().write(record, ref)
    return record


def messages(stack: Stack) -> list[ImageRef]:
    sqs = stack.client("sqs")
    url = stack.outputs["ImagesQueueUrl"]
    refs = []
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        refs += [ref for each in got for ref in parse_queue_body(each["Body"])]
    return refs


def test_the_function_reads_the_same_version_and_its_answer_replaces_the_former(
    stack: Stack,
) -> None:
    record = dropped(stack)
    table = stack.predictions_table()
    assert send_again(stack, [record], lambda _count: None) == []
    [ref] = messages(stack)
    assert replace(ref, size_bytes=10) == image_ref("incoming/a b+ü.jpg")
    assert table.write(classified(ref, "pug", model="dogs@2", at=LATER), ref)
    row = table.get(record.image)
    assert row is not None
    assert (row.label, row.model, row.version) == ("pug", "dogs@2", "v1")


def test_what_a_person_said_survives_the_new_answer(stack: Stack) -> None:
    record = dropped(stack)
    said = ReviewRequest(Action.CORRECT, "v1", "ada", LATER, "beagle")
    ReviewsTable(stack.client("dynamodb"), "predictions").review(record.image, said)
    send_again(stack, [record], lambda _count: None)
    [ref] = messages(stack)
    stack.predictions_table().write(classified(ref, "pug", model="dogs@2"), ref)
    row = stack.predictions_table().get(record.image)
    assert row is not None
    assert row.review is not None
    assert (row.label, row.review.label, row.review.by) == ("pug", "beagle", "ada")


def test_a_repeated_message_changes_nothing_also_for_the_row_of_a_listing(stack: Stack) -> None:
    listed = image_ref("incoming/listed.jpg", sequencer="")
    listed = replace(listed, sequencer=NO_SEQUENCER)
    table = stack.predictions_table()
    record = classified(listed)
    assert table.write_listed(record, listed) is Written.NOW
    send_again(stack, [record], lambda _count: None)
    [ref] = messages(stack)
    again = classified(ref, "pug", model="dogs@2")
    assert table.write(again, ref)
    assert not table.write(again, ref)


def test_a_later_event_of_s3_wins_over_a_listed_row_that_was_answered_again(stack: Stack) -> None:
    listed = replace(image_ref("incoming/x.jpg"), sequencer=NO_SEQUENCER)
    table = stack.predictions_table()
    table.write_listed(classified(listed), listed)
    send_again(stack, [classified(listed)], lambda _count: None)
    [ref] = messages(stack)
    table.write(classified(ref, model="dogs@2"), ref)
    newer = image_ref(
        "incoming/x.jpg",
        version="v2",
        sequencer="0000000000000001",
        received_at="2026-11-24T07:00:00.000Z",
    )
    assert table.write(classified(newer, "pug"), newer)


def test_an_older_event_never_overwrites_a_listed_row_that_was_answered_again(
    stack: Stack,
) -> None:
    listed = image_ref("incoming/x.jpg", version="v2", received_at="2026-11-24T07:00:00.000Z")
    listed = replace(listed, sequencer=NO_SEQUENCER)
    table = stack.predictions_table()
    table.write_listed(classified(listed), listed)
    send_again(stack, [classified(listed)], lambda _count: None)
    [ref] = messages(stack)
    assert table.write(classified(ref, model="dogs@2"), ref)
    older = image_ref("incoming/x.jpg", version="v1", sequencer="0000000000000001")
    assert not table.write(classified(older, "pug"), older)
    row = table.get(ref.image)
    assert row is not None
    assert (row.version, row.model) == ("v2", "dogs@2")


def test_a_row_that_has_another_version_by_now_is_left_to_its_own_event(stack: Stack) -> None:
    old = dropped(stack)
    newer = image_ref(old.key, version="v2", sequencer="02")
    stack.predictions_table().write(classified(newer), newer)
    counts: list[int] = []
    assert send_again(stack, [old], counts.append) == []
    assert (messages(stack), counts) == ([], [1])


def test_rows_that_another_answer_can_come_for_are_chosen() -> None:
    old = classified(image_ref("incoming/old.jpg"))
    answered = classified(image_ref("incoming/new.jpg"), model="dogs@2")
    elsewhere = classified(image_ref("folders/zoo/1.jpg"))
    deleted = replace(old, status=Status.DELETED)
    found = choose([old, answered, elsewhere, deleted], "bucket", "dogs@2")
    assert (found.records, found.answered, found.elsewhere) == ((old,), 1, 1)


def test_rows_are_sent_in_tens_and_none_is_lost(stack: Stack) -> None:
    rows = [dropped(stack, f"incoming/{number}.jpg") for number in range(25)]
    counts: list[int] = []
    assert send_again(stack, rows, counts.append) == []
    assert sorted(counts) == [5, 10, 10]
    assert {ref.key for ref in messages(stack)} == {each.key for each in rows}


def test_waiting_ends_when_every_row_shows_another_answer(stack: Stack) -> None:
    rows = [dropped(stack, f"incoming/{number}.jpg") for number in range(2)]
    table = PredictionsTable(stack.client("dynamodb"), "predictions")
    ref = image_ref("incoming/0.jpg")
    table.write(classified(ref, model="dogs@2", at=LATER), ref)
    seen: list[int] = []
    late = wait_for_answers(stack, rows, patience_seconds=0.1, on_rows=seen.append)
    assert (late, seen) == (["s3://bucket/incoming/1.jpg"], [1])


def test_a_message_has_the_form_of_s3s_notifications() -> None:
    record = classified(image_ref("incoming/a b+ü.jpg"))
    [event] = json.loads(event_body(record, "0A" * 20))["Records"]
    assert event["s3"]["object"]["key"] == "incoming%2Fa+b%2B%C3%BC.jpg"
    assert event["s3"]["object"]["versionId"] == "v1"
