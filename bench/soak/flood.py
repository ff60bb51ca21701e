"""The changes of the bucket, and the row that the table must have for each key."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from botocore.exceptions import BotoCoreError, ClientError

from imagedrop.target import Target

PREFIX = "incoming/soak/"
OVERWRITTEN, DELETED = 0.08, 0.05  # shares of the images
ODD = ("a b+c%20é", "🐶 & friends/=1", "UPPER", "x" * 200)


@dataclass(slots=True)
class Truth:
    """One key: its versions, the newest last; whether it was deleted in the end."""

    versions: list[str] = field(default_factory=list)
    is_deleted: bool = False


class Flood(threading.Thread):
    """Drops images until it has dropped enough; some are overwritten, some deleted."""

    def __init__(
        self, target: Target, photos: Sequence[Path], count: int, seconds: float, seed: int
    ) -> None:
        """Drops `count` versions, spread over so many seconds."""
        super().__init__(daemon=True)
        self._target, self._photos, self._count = target, photos, count
        self._pause_seconds = seconds / count
        self._choose = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.truths: dict[str, Truth] = {}
        self.error: BaseException | None = None

    @property
    def inputs(self) -> int:
        """Versions of images that were dropped."""
        return sum(len(truth.versions) for truth in self.truths.values())

    def run(self) -> None:
        try:
            while self.inputs < self._count:
                self._drop(len(self.truths))
                time.sleep(self._pause_seconds)
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits for it
            self.error = error

    def _drop(self, number: int) -> None:
        photo = self._photos[number % len(self._photos)]
        key = f"{PREFIX}{self._choose.choice(ODD)}/{number:05}{photo.suffix}"
        truth = self.truths.setdefault(key, Truth())
        truth.versions.append(self._put(key, photo.read_bytes()))
        if self._choose.random() < OVERWRITTEN:
            other = self._choose.choice(self._photos)
            truth.versions.append(self._put(key, other.read_bytes()))
        if self._choose.random() < DELETED:
            self._until_done("delete_object", Bucket=self._target.images_bucket, Key=key)
            truth.is_deleted = True

    def _put(self, key: str, content: bytes) -> str:
        answer = self._until_done(
            "put_object", Bucket=self._target.images_bucket, Key=key, Body=content
        )
        return str(answer["VersionId"])

    def _until_done(self, operation: str, **arguments: Any) -> Any:
        """Retries a call while the cloud restarts.

        A call that was answered with an error may have been done: its version is missing here, so
        the bucket is listed at the end.
        """
        while True:
            try:
                return getattr(self._target.client("s3"), operation)(**arguments)
            except (ClientError, BotoCoreError):
                time.sleep(0.5)


def add_unnoticed_versions(target: Target, truths: dict[str, Truth]) -> None:
    """Replaces the recorded versions by the bucket's list of versions."""
    pages = (
        target.client("s3")
        .get_paginator("list_object_versions")
        .paginate(Bucket=target.images_bucket, Prefix=PREFIX)
    )
    versions: dict[str, list[tuple[Any, str]]] = {}
    latest_is_marker: dict[str, bool] = {}
    for page in pages:
        for each in page.get("Versions", []):
            versions.setdefault(each["Key"], []).append((each["LastModified"], each["VersionId"]))
            if each["IsLatest"]:
                latest_is_marker[each["Key"]] = False
        for each in page.get("DeleteMarkers", []):
            if each["IsLatest"]:
                latest_is_marker[each["Key"]] = True
    for key, truth in truths.items():
        known = set(truth.versions)
        truth.versions[:0] = [
            version for _, version in sorted(versions[key]) if version not in known
        ]
        truth.is_deleted = latest_is_marker[key]


def duplicate(target: Target, row: dict[str, Any], older: bool) -> None:
    """The event of a row again, or one of an older change of its key."""
    sequencer = "00" if older else row["sequencer"]["S"]
    record = {
        "eventName": "ObjectCreated:Put",
        "eventTime": row["received_at"]["S"],
        "s3": {
            "bucket": {"name": target.images_bucket},
            "object": {
                "key": quote_plus(row["key"]["S"], safe="/"),
                "size": int(row["bytes"]["N"]),
                "eTag": "e",
                "versionId": row["version"]["S"],
                "sequencer": sequencer,
            },
        },
    }
    target.client("sqs").send_message(
        QueueUrl=target.outputs["ImagesQueueUrl"], MessageBody=json.dumps({"Records": [record]})
    )
