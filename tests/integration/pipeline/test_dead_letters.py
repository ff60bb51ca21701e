"""Given up, listed with its reason, sent back: on the deployed template."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from imagedrop.send import Sent, Upload, wait_for_rows
from pipeline.records import Status
from tests.integration.conftest import REPOSITORY, Stack
from tests.s3_events import queue_event

PHOTO = REPOSITORY / "demo" / "photos" / "pug.webp"
PATIENCE_SECONDS = 60.0


def at_its_last_try(stack: Stack, body: str) -> list[str]:
    """What the function wants to see again of a message that it has for the tenth time."""
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


def test_what_never_works_lies_there_with_its_reason(stack: Stack) -> None:
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


def test_forgotten_image_is_gone_from_bucket_and_table(stack: Stack) -> None:
    s3, key = stack.target.client("s3"), "incoming/forget me.webp"
    for _ in range(2):
        version = s3.put_object(
            Bucket=stack.target.images_bucket, Key=key, Body=PHOTO.read_bytes()
        )["VersionId"]
    sent = Sent(Upload(PHOTO, key), version=version)
    wait_for_rows(stack.target, [sent], patience_seconds=PATIENCE_SECONDS, on_rows=lambda _: None)

    stack.command("forget", key, "--yes")

    address = f"s3://{stack.target.images_bucket}/{key}"
    assert stack.target.predictions_table().get(address) is None
    left = s3.list_object_versions(Bucket=stack.target.images_bucket, Prefix=key)
    assert "Versions" not in left
    assert "DeleteMarkers" not in left
