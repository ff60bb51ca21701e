"""The template's table in moto's DynamoDB, whose expressions are real, and rows for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from moto import mock_aws

from pipeline.answers import Prediction
from pipeline.events import SEQUENCER_DIGITS, Change, ImageRef
from pipeline.records import Record, Road, Status
from tests.moto_clients import client_of
from tests.template_resources import create_predictions_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def image_ref(key: str = "incoming/dog.jpg", **changes: Any) -> ImageRef:
    ref = ImageRef(
        bucket="bucket",
        key=key,
        version="v1",
        versioned=True,
        sequencer="01",
        size_bytes=10,
        received_at="2026-11-24T06:00:00.000Z",
        change=Change.CREATED,
    )
    changed = replace(ref, **changes)
    return replace(changed, sequencer=changed.sequencer.ljust(SEQUENCER_DIGITS, "0"))


def classified(
    ref: ImageRef,
    label: str = "beagle",
    confidence: float = 0.9,
    model: str = "dogs@1",
    at: str = "2026-11-24T06:00:01.000Z",
) -> Record:
    return Record(
        image=ref.image,
        key=ref.key,
        version=ref.version,
        status=Status.CLASSIFIED,
        label=label,
        confidence=confidence,
        predictions=(Prediction(label, confidence), Prediction("basset", 0.05)),
        model=model,
        source=Road.DROP,
        format="JPEG",
        width=640,
        height=480,
        bytes=10,
        received_at=ref.received_at,
        classified_at=at,
    )


@contextmanager
def dynamodb_with_table(name: str = "predictions") -> Iterator[DynamoDBClient]:
    """A DynamoDB that holds the template's table, empty, under this name."""
    with mock_aws():
        dynamodb = client_of("dynamodb", "eu-central-1")
        create_predictions_table(dynamodb, name)
        try:
            yield dynamodb
        finally:  # a mock within another one forgets nothing
            dynamodb.delete_table(TableName=name)
