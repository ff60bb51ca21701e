"""The function's half of the pipeline over moto: real adapters, conditions and versions.

The endpoint is a fake at the level of its client; every call of every client can be made to fail,
or to be the last of a function that is killed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import pytest
from moto import mock_aws

from handlers import classify, wiring
from imaging import prepare
from imaging.pixel_encoding import NPY
from pipeline.adapters.images_bucket import ImagesBucket
from pipeline.adapters.images_queue import ImagesQueue
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.classify_images import ClassifyImages
from pipeline.queries import Query
from pipeline.records import Record
from tests.fakes import NPY_HEADER_BYTES, SPEC, jpeg
from tests.moto_clients import client_of
from tests.s3_events import BUCKET, queue_body, s3_record
from tests.template_resources import create_predictions_table
from tests.unit.handlers.test_classify import Context

NOW = "2026-11-24T06:00:00.000Z"


class Killed(BaseException):
    """Ends a function midway; no code catches it."""


@dataclass
class Calls:
    """Counts every call of every client; `before` and `after` are asked with each's number."""

    before: Callable[[int, str], None] = lambda _number, _name: None
    after: Callable[[int, str], None] = lambda _number, _name: None
    names: list[str] = field(default_factory=list)
    is_dead: bool = False
    _lock: Lock = field(default_factory=Lock)

    def make(self, name: str, call: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        if self.is_dead:  # a killed process makes no further calls
            raise Killed
        with self._lock:  # images are read side by side
            number = len(self.names)
            self.names.append(name)
        try:
            self.before(number, name)
            try:
                return call(**arguments)
            finally:
                self.after(number, name)
        except Killed:
            self.is_dead = True
            raise


class Watched:
    """A client whose calls are counted."""

    def __init__(self, client: Any, calls: Calls) -> None:
        self._client, self._calls = client, calls

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if not callable(call) or name in {"exceptions", "meta"}:
            return call
        return lambda **arguments: self._calls.make(name, call, arguments)


class FakeRuntime:
    """Answers each image with its first pixel as the label, as `dogs@VERSION`."""

    def __init__(self) -> None:
        self.version = "1"

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        pixels = request["Body"][NPY_HEADER_BYTES:]
        labels = [str(pixels[at]) for at in range(0, len(pixels), SPEC.image_bytes)]
        entries = [
            {
                "label": label,
                "confidence": 0.5,
                "predictions": [{"label": label, "confidence": 0.5}],
                "model": f"dogs@{self.version}",
            }
            for label in labels
        ]
        return {"Body": io.BytesIO(json.dumps(entries).encode())}


@dataclass
class World:
    """Bucket, table, queues, and the function between them."""

    s3: Any
    dynamodb: Any
    sqs: Any
    runtime: FakeRuntime
    calls: Calls
    table: PredictionsTable
    dead_letters_url: str
    clock: int = 0

    def put(self, key: str, content: bytes) -> str:
        """Drops an image; the queue message that S3 sends."""
        answer = self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
        return self._event(key, "ObjectCreated:Put", version=answer["VersionId"], size=len(content))

    def delete(self, key: str) -> str:
        """Hides an image behind a delete marker."""
        answer = self.s3.delete_object(Bucket=BUCKET, Key=key)
        return self._event(key, "ObjectRemoved:DeleteMarkerCreated", version=answer["VersionId"])

    def erase(self, key: str, version: str) -> str:
        """Erases one version for good."""
        self.s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version)
        return self._event(key, "ObjectRemoved:Delete", version=version)

    def _event(self, key: str, name: str, **about: Any) -> str:
        self.clock += 1
        # Sequencers of one key grow, and not all are equally long.
        sequencer = f"{self.clock:04X}" + "9" * (self.clock % 3)
        time = f"2026-11-24T06:{self.clock // 60:02}:{self.clock % 60:02}.000Z"
        return queue_body(s3_record(key, event=name, sequencer=sequencer, time=time, **about))

    def deliver(self, *bodies: str, receives: int = 1) -> list[str]:
        """Runs one batch; returns the bodies to retry."""
        event = {
            "Records": [
                {
                    "messageId": f"m{place}",
                    "receiptHandle": f"handle-{place}",
                    "body": body,
                    "attributes": {
                        "ApproximateReceiveCount": str(receives),
                        "SentTimestamp": "1795593600000",
                    },
                }
                for place, body in enumerate(bodies)
            ]
        }
        response = classify.handler(event, Context())  # type: ignore[arg-type]
        return [bodies[int(each["itemIdentifier"][1:])] for each in response["batchItemFailures"]]

    def rows(self) -> dict[str, Record]:
        """The whole table, by key."""
        images = [each["image"]["S"] for each in self.dynamodb.scan(TableName="t")["Items"]]
        return {each.key: each for each in self.table.get_many(images).values()}

    def listed(self) -> set[str]:
        """Keys that a query shows."""
        return {each.key for each in self.table.list(Query(), limit=100).records}

    def letters(self) -> list[str]:
        found = self.sqs.receive_message(
            QueueUrl=self.dead_letters_url, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [each["Body"] for each in found.get("Messages", [])]


@contextmanager
def world(patch: pytest.MonkeyPatch) -> Iterator[World]:
    """A new one, with the template's own table."""
    with mock_aws():
        s3, dynamodb, sqs = map(client_of, ("s3", "dynamodb", "sqs"))
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        create_predictions_table(dynamodb, "t")
        queue, dead = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("q", "dead"))
        calls, runtime = Calls(), FakeRuntime()
        use_case = ClassifyImages(
            images=ImagesBucket(Watched(s3, calls)),  # type: ignore[arg-type]
            prepare=prepare,
            endpoint=ModelEndpoint(Watched(runtime, calls), "endpoint"),  # type: ignore[arg-type]
            predictions=PredictionsTable(Watched(dynamodb, calls), "t"),  # type: ignore[arg-type]
            spec=SPEC,
            encoding=NPY,
            max_payload_bytes=NPY_HEADER_BYTES + 25 * SPEC.image_bytes,
            now=lambda: NOW,
        )
        images_queue = ImagesQueue(Watched(sqs, calls), queue, dead)  # type: ignore[arg-type]
        patch.setattr(wiring, "classify_images", lambda: use_case)
        patch.setattr(wiring, "images_queue", lambda: images_queue)
        patch.setenv("MAX_RECEIVES", "10")
        patch.setattr(classify.metrics, "namespace", "imagedrop", raising=False)
        patch.setattr(classify.metrics, "service", "classify", raising=False)
        yield World(s3, dynamodb, sqs, runtime, calls, PredictionsTable(dynamodb, "t"), dead)


SHADES = {0: jpeg(0), 60: jpeg(60), 200: jpeg(200)}
"""Photos whose label is their shade, more or less."""


def label_of(shade: int) -> str:
    """Returns the fake endpoint's label for a photo of this shade."""
    return str(shade)
