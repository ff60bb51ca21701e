"""From the bucket to the table: the deployed template, the real functions, the real model."""

from __future__ import annotations

import csv
import io
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from imagedrop.exports import COLUMNS
from imagedrop.predictions import wait_for_rows
from imagedrop.uploads import Sent, Upload
from pipeline.records import FIELD_NAMES, Record, Status
from tests.integration.conftest import REPOSITORY, Stack

PHOTOS = REPOSITORY / "demo" / "photos"
PREFIX = "incoming/photos/"  # other tests use the same stack
PATIENCE_SECONDS = 90.0


@pytest.fixture(scope="module")
def demo_rows(stack: Stack) -> dict[str, dict[str, Any]]:
    """The demo's photos, sent and read by the command line; rows by file name."""
    stack.command("send", PHOTOS, "--wait")
    lines = stack.command("predictions", "--format", "jsonl").splitlines()
    found = map(json.loads, lines)
    rows = {Path(row["key"]).name: row for row in found if row["key"].startswith(PREFIX)}
    assert set(rows) >= {path.name for path in PHOTOS.iterdir()}
    return rows


def drop(stack: Stack, key: str, data: bytes) -> Sent:
    response = stack.target.client("s3").put_object(
        Bucket=stack.target.images_bucket, Key=key, Body=data
    )
    return Sent(Upload(Path(key), key), version=response["VersionId"])


def row_of(stack: Stack, sent: Sent) -> Record:
    rows = wait_for_rows(
        stack.target, [sent], patience_seconds=PATIENCE_SECONDS, on_rows=lambda _: None
    )
    return rows[sent.upload.key]


def eventually(check: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("beagles.jpg", "unknown_dog"),
        ("pug.jpg", "pug"),
        ("pug.png", "pug"),
        ("pug.webp", "pug"),
        ("pug_cmyk.jpg", "pug"),
        ("pug_sideways.jpg", "pug"),
        ("cat.png", "not_a_dog"),
        ("coffee.webp", "not_a_dog"),
        ("flower.jpg", "not_a_dog"),
        ("rocket.jpg", "not_a_dog"),
        ("temple.jpg", "not_a_dog"),
    ],
)
def test_a_dropped_photo_gets_its_breed(
    demo_rows: dict[str, dict[str, Any]], name: str, label: str
) -> None:
    row = demo_rows[name]
    assert (row["status"], row["label"]) == ("CLASSIFIED", label)
    assert 0.3 < row["confidence"] <= 1
    assert len(row["predictions"]) == 5


@pytest.mark.parametrize(
    ("name", "reason"), [("beagles_cut.jpg", "truncated"), ("web_page.jpg", "not_an_image")]
)
def test_a_broken_photo_is_rejected_with_its_reason(
    demo_rows: dict[str, dict[str, Any]], name: str, reason: str
) -> None:
    row = demo_rows[name]
    assert (row["status"], row["reason"], row["label"]) == ("REJECTED", reason, None)


def test_a_printed_row_has_the_fields_of_the_contract(
    stack: Stack, demo_rows: dict[str, dict[str, Any]]
) -> None:
    row = demo_rows["pug_sideways.jpg"]
    assert tuple(row) == FIELD_NAMES
    assert row["image"] == f"s3://{stack.target.images_bucket}/incoming/photos/pug_sideways.jpg"
    assert (row["width"], row["height"], row["format"]) == (640, 480, "JPEG")
    assert row["bytes"] == (PHOTOS / "pug_sideways.jpg").stat().st_size
    assert row["source"] == "drop"
    assert row["model"].startswith("dogs-lite0@")
    assert row["received_at"] <= row["classified_at"]
    assert [each["confidence"] for each in row["predictions"]] == sorted(
        (each["confidence"] for each in row["predictions"]), reverse=True
    )


@pytest.mark.usefixtures("demo_rows")
def test_predictions_are_filtered_by_label_status_confidence_and_time(stack: Stack) -> None:
    def keys(*options: str) -> set[str]:
        lines = stack.command("predictions", *options, "--format", "jsonl").splitlines()
        found = [json.loads(line)["key"] for line in lines]
        return {key.removeprefix(PREFIX) for key in found if key.startswith(PREFIX)}

    assert keys("--label", "unknown_dog") == {"beagles.jpg"}
    assert keys("--status", "rejected") == {"beagles_cut.jpg", "web_page.jpg"}
    assert keys("--since", "2999") == set()
    assert "pug.jpg" in keys("--label", "pug", "--since", "2020-01-01", "--min-confidence", "0.5")
    assert "web_page.jpg" not in keys("--min-confidence", "0")
    limited = stack.command("predictions", "--limit", "3", "--format", "jsonl")
    assert len(limited.splitlines()) == 3


@pytest.mark.usefixtures("demo_rows")
def test_one_prediction_is_found_by_its_name_and_a_missing_one_is_an_error(stack: Stack) -> None:
    (line,) = stack.command("predictions", "photos/beagles.jpg", "--format", "jsonl").splitlines()
    assert json.loads(line)["label"] == "unknown_dog"
    assert "imagedrop predictions" in stack.command("predictions", "none.jpg", exit_code=1)


@pytest.mark.usefixtures("demo_rows")
def test_csv_holds_the_same_rows_as_the_table(stack: Stack) -> None:
    newest = ("predictions", "--limit", "20")
    rows = list(csv.DictReader(io.StringIO(stack.command(*newest, "--format", "csv"))))
    assert tuple(rows[0]) == COLUMNS
    table = stack.command(*newest)
    assert all(Path(row["key"]).name in table for row in rows)


def test_odd_names_become_rows_under_their_own_keys(stack: Stack) -> None:
    data = (PHOTOS / "pug.webp").read_bytes()
    keys = ["incoming/a b+c%20é.jpg", "incoming/🐶 & friends/=1.webp", "incoming/UPPER.JPG"]
    sent = [drop(stack, key, data) for key in keys]
    assert [row_of(stack, each).label for each in sent] == ["pug", "pug", "pug"]


def test_a_new_version_replaces_the_row_of_the_old_one(stack: Stack) -> None:
    first = drop(stack, "incoming/changes.jpg", (PHOTOS / "pug.webp").read_bytes())
    assert row_of(stack, first).label == "pug"
    second = drop(stack, "incoming/changes.jpg", (PHOTOS / "beagles.jpg").read_bytes())
    assert row_of(stack, second).label == "unknown_dog"


def test_a_deleted_image_leaves_a_tombstone(stack: Stack) -> None:
    sent = drop(stack, "incoming/short-lived.jpg", (PHOTOS / "pug.webp").read_bytes())
    image = row_of(stack, sent).image
    bucket = stack.target.images_bucket
    stack.target.client("s3").delete_object(Bucket=bucket, Key=sent.upload.key)
    table = stack.target.predictions_table()

    def is_deleted() -> bool:
        record = table.get(image)
        return record is not None and record.status is Status.DELETED

    assert eventually(is_deleted)


def test_a_duplicate_message_changes_nothing(stack: Stack) -> None:
    """S3 delivers at least once: the same event again, and an older one after it."""
    older = drop(stack, "incoming/twice.jpg", (PHOTOS / "beagles.jpg").read_bytes())
    row_of(stack, older)
    newer = drop(stack, "incoming/twice.jpg", (PHOTOS / "pug.webp").read_bytes())
    before = row_of(stack, newer)
    sqs = stack.target.client("sqs")
    queue_url = stack.target.outputs["ImagesQueueUrl"]
    for sent, sequencer in ((older, "00"), (newer, sequencer_of(stack, before.image))):
        body = event_of(stack, sent, sequencer)
        sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps(body))
    assert eventually(lambda: messages_in(stack, "ImagesQueueUrl") == 0)
    assert stack.target.predictions_table().get(before.image) == before


def sequencer_of(stack: Stack, image: str) -> str:
    item = stack.target.client("dynamodb").get_item(
        TableName=stack.target.outputs["PredictionsTableName"], Key={"image": {"S": image}}
    )["Item"]
    return str(item["sequencer"]["S"])


def event_of(stack: Stack, sent: Sent, sequencer: str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "eventTime": "2020-01-01T00:00:00.000Z",
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "bucket": {"name": stack.target.images_bucket},
                    "object": {
                        "key": sent.upload.key,
                        "size": 1,
                        "versionId": sent.version,
                        "sequencer": sequencer,
                    },
                },
            }
        ]
    }


def messages_in(stack: Stack, queue: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = stack.target.client("sqs").get_queue_attributes(
        QueueUrl=stack.target.outputs[queue], AttributeNames=names
    )["Attributes"]
    return sum(int(attributes[name]) for name in names)


def test_images_elsewhere_in_the_bucket_start_nothing(stack: Stack) -> None:
    drop(stack, "elsewhere/dog.jpg", (PHOTOS / "pug.webp").read_bytes())
    row_of(stack, drop(stack, "incoming/later.jpg", (PHOTOS / "pug.webp").read_bytes()))
    image = f"s3://{stack.target.images_bucket}/elsewhere/dog.jpg"
    assert stack.target.predictions_table().get(image) is None


def get(stack: Stack, path: str, **parameters: str) -> tuple[int, Any]:
    """A GET signed as AWS_IAM asks for."""
    url = f"{stack.target.outputs['ApiUrl']}{path}?{urllib.parse.urlencode(parameters)}"
    request = AWSRequest("GET", url)
    credentials = stack.target.session.get_credentials()
    SigV4Auth(credentials, "execute-api", stack.target.session.region_name).add_auth(request)
    return open_url(urllib.request.Request(url, headers=dict(request.headers.items())))  # noqa: S310


def open_url(request: urllib.request.Request) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - loopback
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.usefixtures("demo_rows")
def test_the_api_lists_filters_and_pages(stack: Stack) -> None:
    status, page = get(stack, "/predictions", label="unknown_dog", limit="1")
    assert status == 200
    assert [each["label"] for each in page["predictions"]] == ["unknown_dog"]
    assert get(stack, f"/predictions/{page['predictions'][0]['id']}") == (
        200,
        page["predictions"][0],
    )
    everything = list(every_page(stack))
    assert len(everything) == len({each["image"] for each in everything}) >= 13


def every_page(stack: Stack) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        parameters = {"limit": "5"} | ({"cursor": cursor} if cursor else {})
        _, page = get(stack, "/predictions", **parameters)
        yield from page["predictions"]
        cursor = page["cursor"]
        if cursor is None:
            return


def test_the_api_knows_the_models_labels_and_its_own_health(stack: Stack) -> None:
    status, labels = get(stack, "/labels")
    assert status == 200
    assert {"beagle", "pug", "not_a_dog"} <= set(labels["labels"])
    assert len(labels["labels"]) == 120
    assert get(stack, "/health") == (200, {"status": "ok"})
    assert get(stack, "/predictions", status="lost")[0] == 400
    assert get(stack, "/nothing/here")[0] == 404


def test_the_api_refuses_who_does_not_sign(stack: Stack) -> None:
    url = f"{stack.target.outputs['ApiUrl']}/predictions"
    assert open_url(urllib.request.Request(url))[0] == 403  # noqa: S310 - loopback


def test_a_function_may_do_no_more_than_its_role_says(stack: Stack) -> None:
    """Shows that permissions are enforced here at all, else the other tests prove nothing."""
    resources = stack.target.client("cloudformation").describe_stack_resources(
        StackName="imagedrop", LogicalResourceId="ClassifyFunctionRole"
    )["StackResources"]
    iam = stack.target.client("iam")
    role = iam.get_role(RoleName=resources[0]["PhysicalResourceId"])["Role"]
    sts = stack.target.client("sts")
    # Only Lambda may take the role, and only for this account: not even the account's root.
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=role["Arn"], RoleSessionName="test")
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    opened = {"Version": "2012-10-17", "Statement": [statement]}
    iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=json.dumps(opened))
    credentials = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]
    iam.update_assume_role_policy(
        RoleName=role["RoleName"],
        PolicyDocument=json.dumps(role["AssumeRolePolicyDocument"]),
    )
    from localcloud import aws  # noqa: PLC0415

    session = aws.session()
    s3, sqs = (
        session.client(
            service,
            endpoint_url=stack.target.endpoint_url,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )
        for service in ("s3", "sqs")
    )
    bucket = stack.target.images_bucket
    drop(stack, "incoming/readable.jpg", (PHOTOS / "pug.webp").read_bytes())
    s3.get_object(Bucket=bucket, Key="incoming/readable.jpg")["Body"].close()
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key="incoming/forged.jpg", Body=b"")
    # AWS's policy for event source mappings names every queue; the boundary leaves one of them.
    sqs.get_queue_attributes(QueueUrl=stack.target.outputs["ImagesQueueUrl"])
    with pytest.raises(ClientError, match="AccessDenied"):
        sqs.get_queue_attributes(QueueUrl=stack.target.outputs["DeadLetterQueueUrl"])


def test_nothing_ended_in_the_dead_letter_queue(stack: Stack) -> None:
    assert eventually(lambda: messages_in(stack, "ImagesQueueUrl") == 0)
    assert messages_in(stack, "DeadLetterQueueUrl") == 0
