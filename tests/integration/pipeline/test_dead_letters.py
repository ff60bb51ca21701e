"""Given up, listed with its reason, sent back: on the deployed template."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from imagedrop.predictions import wait_for_rows
from imagedrop.uploads import Sent, Upload
from pipeline.records import Status
from tests.integration.conftest import REPOSITORY, Stack
from tests.s3_events import queue_body, queue_event, s3_record

PHOTO = REPOSITORY / "demo" / "photos" / "pug.webp"
PATIENCE_SECONDS = 60.0


def at_its_last_try(stack: Stack, body: str) -> list[str]:
    """Returns the function's batch item failures for a message's tenth receive."""
    event = queue_event(body)
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "10"
    (function,) = [
        each["FunctionName"]
        for each in stack.target.client("lambda").list_functions()["Functions"]
        if "ClassifyFunction" in each["FunctionName"]
    ]
    answer = stack.target.client("lambda").invoke(
        FunctionName=function, Payload=json.dumps(event).encode()
    )
    failures = json.loads(answer["Payload"].read())["batchItemFailures"]
    return [each["itemIdentifier"] for each in failures]


def letters(stack: Stack) -> list[dict[str, object]]:
    lines = stack.command("dead-letters", "list", "--format", "jsonl").splitlines()
    return [json.loads(line) for line in lines]


def eventually(check: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def test_an_image_that_always_fails_is_a_dead_letter_with_its_reason(stack: Stack) -> None:
    assert at_its_last_try(stack, "no notification") == []
    (letter,) = letters(stack)
    assert (letter["reason"], letter["attempts"]) == ("UnknownEventError", 10)
    shown = json.loads(stack.command("dead-letters", "show", str(letter["message_id"])))
    assert shown["body"] == "no notification"

    would = stack.command("dead-letters", "redrive", "--dry-run")
    assert "UnknownEventError" in would
    assert len(letters(stack)) == 1
    stack.command("dead-letters", "redrive", "--key", "incoming/nothing.jpg", exit_code=1)

    sqs, url = stack.target.client("sqs"), stack.target.outputs["DeadLetterQueueUrl"]
    for message in sqs.receive_message(QueueUrl=url)["Messages"]:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def test_what_works_again_is_sent_back_and_becomes_its_row_once(stack: Stack) -> None:
    s3, key = stack.target.client("s3"), "incoming/dead letters/was dead.webp"
    version = s3.put_object(Bucket=stack.target.images_bucket, Key=key, Body=PHOTO.read_bytes())[
        "VersionId"
    ]
    sent = Sent(Upload(PHOTO, key), version=version)
    row = wait_for_rows(
        stack.target, [sent], patience_seconds=PATIENCE_SECONDS, on_rows=lambda _: None
    )[key]
    dynamodb, table = stack.target.client("dynamodb"), stack.target.outputs["PredictionsTableName"]
    item = dynamodb.get_item(TableName=table, Key={"image": {"S": row.image}})["Item"]
    dynamodb.delete_item(TableName=table, Key={"image": {"S": row.image}})
    body = json.dumps(
        {
            "Records": [
                {
                    "eventName": "ObjectCreated:Put",
                    "eventTime": row.received_at,
                    "s3": {
                        "bucket": {"name": stack.target.images_bucket},
                        "object": {
                            "key": "incoming/dead+letters/was+dead.webp",
                            "size": row.bytes,
                            "eTag": "e",
                            "versionId": version,
                            "sequencer": item["sequencer"]["S"],
                        },
                    },
                }
            ]
        }
    )
    stack.target.client("sqs").send_message(
        QueueUrl=stack.target.outputs["DeadLetterQueueUrl"], MessageBody=body
    )

    stack.command("dead-letters", "redrive", "--key", key)

    predictions = stack.target.predictions_table()
    assert eventually(lambda: predictions.get(row.image) is not None)
    again = predictions.get(row.image)
    assert again is not None
    assert (again.label, again.version, again.status) == (row.label, version, Status.CLASSIFIED)
    assert letters(stack) == []
    stack.command("dead-letters", "redrive")
    assert predictions.get(row.image) == again


def test_poisoned_image_is_listed_with_its_reason_fixed_and_redriven_once(
    stack: Stack, classify_role: str
) -> None:
    """Outside incoming/ the function may read nothing: a missing permission, granted afterwards."""
    key, bucket = "poison/pug.webp", stack.target.images_bucket
    s3, iam = stack.target.client("s3"), stack.target.client("iam")
    put = s3.put_object(Bucket=bucket, Key=key, Body=PHOTO.read_bytes())
    created = s3_record(key, version=put["VersionId"], size=PHOTO.stat().st_size)
    created["s3"]["bucket"]["name"] = bucket
    body = queue_body(created)

    assert at_its_last_try(stack, body) == []
    (letter,) = letters(stack)
    assert (letter["reason"], letter["attempts"]) == ("AccessDenied", 10)
    assert letter["images"] == [f"s3://{bucket}/{key}"]

    statement = {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:GetObjectVersion"],
        "Resource": f"arn:aws:s3:::{bucket}/poison/*",
    }
    iam.put_role_policy(
        RoleName=classify_role,
        PolicyName="repair",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    stack.command("dead-letters", "redrive", "--reason", "AccessDenied")
    predictions, image = stack.target.predictions_table(), f"s3://{bucket}/{key}"
    assert eventually(lambda: predictions.get(image) is not None)
    row = predictions.get(image)
    assert row is not None
    assert (row.status, row.label) == (Status.CLASSIFIED, "pug")
    assert letters(stack) == []

    # A redrive that was interrupted between sending and deleting leaves the letter there.
    dead_letter_queue = stack.target.outputs["DeadLetterQueueUrl"]
    stack.target.client("sqs").send_message(QueueUrl=dead_letter_queue, MessageBody=body)
    stack.command("dead-letters", "redrive")
    assert eventually(lambda: nothing_waits(stack))
    assert predictions.get(image) == row
    assert letters(stack) == []


@pytest.fixture
def classify_role(stack: Stack) -> Iterator[str]:
    """The function's role; permissions that a test grants are removed afterwards."""
    (role,) = [
        each["PhysicalResourceId"]
        for each in stack.target.client("cloudformation").describe_stack_resources(
            StackName="imagedrop"
        )["StackResources"]
        if each["LogicalResourceId"] == "ClassifyFunctionRole"
    ]
    yield role
    stack.target.client("iam").delete_role_policy(RoleName=role, PolicyName="repair")


def nothing_waits(stack: Stack) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = stack.target.client("sqs").get_queue_attributes(
        QueueUrl=stack.target.outputs["ImagesQueueUrl"], AttributeNames=names
    )["Attributes"]
    return sum(int(attributes[name]) for name in names) == 0


def test_forgotten_image_is_gone_and_a_late_event_does_not_bring_it_back(stack: Stack) -> None:
    s3, key = stack.target.client("s3"), "incoming/forget me.webp"
    bucket, predictions = stack.target.images_bucket, stack.target.predictions_table()
    for _ in range(2):
        version = s3.put_object(Bucket=bucket, Key=key, Body=PHOTO.read_bytes())["VersionId"]
    sent = Sent(Upload(PHOTO, key), version=version)
    row = wait_for_rows(
        stack.target, [sent], patience_seconds=PATIENCE_SECONDS, on_rows=lambda _: None
    )[key]

    stack.command("forget", key, "--yes")

    left = s3.list_object_versions(Bucket=bucket, Prefix=key)
    assert "Versions" not in left
    assert "DeleteMarkers" not in left
    tombstone = predictions.get(row.image)
    assert tombstone is not None
    assert (tombstone.status, tombstone.reason) == (Status.DELETED, "forgotten")
    assert (tombstone.label, tombstone.predictions, tombstone.width) == (None, (), None)
    late = s3_record(key, version=version, sequencer="FF", time=row.received_at)
    late["s3"]["bucket"]["name"] = bucket
    stack.target.client("sqs").send_message(
        QueueUrl=stack.target.outputs["ImagesQueueUrl"], MessageBody=queue_body(late)
    )
    assert eventually(lambda: nothing_waits(stack))
    assert predictions.get(row.image) == tombstone
    stack.command("forget", key, "--yes")
    assert predictions.get(row.image) == tombstone


def test_nothing_of_an_image_is_in_any_log_of_the_stack(stack: Stack) -> None:
    exif = Image.Exif()
    exif[0x010E] = "SECRET description"
    exif.get_ifd(0x8825)[29] = "SECRET:GPS:DATE"
    picture = io.BytesIO()
    Image.new("RGB", (640, 480)).save(picture, "JPEG", exif=exif, comment=b"SECRET comment")
    content = picture.getvalue()
    assert content.count(b"SECRET") == 3
    s3, bucket = stack.target.client("s3"), stack.target.images_bucket
    sent = [
        Sent(
            Upload(Path(name), f"incoming/{name}"),
            version=s3.put_object(Bucket=bucket, Key=f"incoming/{name}", Body=body)["VersionId"],
        )
        for name, body in (("private.jpg", content), ("cut.jpg", content[: len(content) // 2]))
    ]
    rows = wait_for_rows(
        stack.target, sent, patience_seconds=PATIENCE_SECONDS, on_rows=lambda _: None
    )
    assert [rows[each.upload.key].status for each in sent] == [Status.CLASSIFIED, Status.REJECTED]
    assert eventually(lambda: '"truncated"' in all_logs(stack))  # the line of their batch
    logged = all_logs(stack)
    for secret in ("SECRET", "X-Amz-Signature", "X-Amz-Security-Token", "AWS4-HMAC-SHA256"):
        assert secret not in logged


def all_logs(stack: Stack) -> str:
    logs = stack.target.client("logs")
    messages: list[str] = []
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        messages += [each["message"] for page in pages for each in page["events"]]
    return "\n".join(messages)
