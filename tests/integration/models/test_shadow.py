"""A share of the live images to a candidate, on the deployed template: beside the rows alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from archive.reading import WEIGHTS_NAME, extract_archive
from imagedrop.predictions import wait_for_rows
from imagedrop.uploads import Sent, Upload
from model.package import DEFAULT_ARCHIVE, package
from pipeline.records import Record
from tests.integration.conftest import REPOSITORY, Stack

PHOTOS = REPOSITORY / "demo" / "photos"
PATIENCE_SECONDS = 120.0
MARK = "other "


@pytest.fixture(scope="module")
def candidate(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registered model with other labels, which prepares images in another way."""
    folder = tmp_path_factory.mktemp("shadow")
    card = extract_archive(DEFAULT_ARCHIVE, folder / "content")
    spec = replace(card.image_spec, resize=card.image_spec.resize + 16)
    labels = tuple(f"{MARK}{label}" for label in card.labels)
    changed = replace(
        card, name="shadow", version="1", labels=labels, image_spec=spec, groups=None, names={}
    )
    stack.command(
        "package", package(folder / "content" / WEIGHTS_NAME, changed, folder / "shadow.tar.gz")
    )
    yield "shadow@1"
    stack.command("shadow", "--off")


def drop(stack: Stack, *names: str, prefix: str) -> dict[str, Record]:
    s3, sent = stack.target.client("s3"), []
    for name in names:
        key = f"incoming/{prefix}/{name}"
        body = (PHOTOS / name).read_bytes()
        answer = s3.put_object(Bucket=stack.target.images_bucket, Key=key, Body=body)
        sent.append(Sent(Upload(Path(name), key), version=answer["VersionId"]))
    rows = wait_for_rows(
        stack.target, sent, patience_seconds=PATIENCE_SECONDS, on_rows=lambda _: None
    )
    assert len(rows) == len(names)
    return rows


def with_candidates(stack: Stack, rows: dict[str, Record]) -> dict[str, Record]:
    """The rows once each has a candidate's answer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    table = stack.target.predictions_table()
    while True:
        found = table.get_many([row.image for row in rows.values()])
        if all(row.candidate for row in found.values()):
            return {row.key: row for row in found.values()}
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def wait_until_the_share_counts(stack: Stack) -> None:
    """A running function reads a new share after half a minute at the latest."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        [probe] = drop(stack, "pug.jpg", prefix="shadow-probe").values()
        shown_by = time.monotonic() + 5
        while time.monotonic() < shown_by:
            row = stack.target.predictions_table().get(probe.image)
            if row is not None and row.candidate is not None:
                return
            time.sleep(0.2)
        assert time.monotonic() < deadline, probe


def test_a_candidates_answers_lie_beside_the_rows_and_change_none(
    stack: Stack, candidate: str
) -> None:
    stack.command("shadow", candidate, "--share", "1")
    assert candidate in stack.command_said("shadow")
    wait_until_the_share_counts(stack)
    before = drop(stack, "pug.jpg", "flower.jpg", "web_page.jpg", prefix="shadow")
    rejected = {key for key, row in before.items() if row.reason}

    classified = {key: row for key, row in before.items() if key not in rejected}
    rows = with_candidates(stack, classified)

    assert len(rejected) == 1
    for key, row in rows.items():
        assert row.candidate is not None
        assert row.candidate.model == candidate
        assert replace(row, candidate=None) == replace(classified[key], candidate=None)
    pug, flower = (rows[f"incoming/shadow/{name}.jpg"] for name in ("pug", "flower"))
    assert pug.candidate is not None
    assert flower.candidate is not None
    assert (pug.label, pug.candidate.label) == ("pug", f"{MARK}pug")
    assert flower.candidate.label == flower.label
    lines = stack.command("predictions", "--disagreement", "--format", "jsonl").splitlines()
    assert pug.key in {json.loads(line)["key"] for line in lines}
    assert flower.key not in {json.loads(line)["key"] for line in lines}


def test_a_candidate_that_does_not_answer_costs_a_drop_nothing(
    stack: Stack, candidate: str
) -> None:
    stack.command("shadow", candidate, "--share", "1")
    with suppress(stack.target.client("sagemaker").exceptions.ClientError):
        stack.target.client("sagemaker").delete_endpoint(
            EndpointName=stack.target.outputs["ShadowEndpointName"]
        )
    rows = drop(stack, "pug.webp", "coffee.webp", prefix="shadow-gone")
    assert {row.label for row in rows.values()} == {"pug", "not_a_dog"}
    assert all(row.candidate is None for row in rows.values())
    letters = stack.target.client("sqs").get_queue_attributes(
        QueueUrl=stack.target.outputs["DeadLetterQueueUrl"],
        AttributeNames=["ApproximateNumberOfMessages"],
    )
    assert letters["Attributes"]["ApproximateNumberOfMessages"] == "0"
