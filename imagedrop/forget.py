"""Everything about one image, gone: its versions, the messages that speak of it, its row."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from imagedrop.dead_letters import DeadLetters

# Erasing a version sends an event, whose tombstone is a row again: it is awaited and removed too.
QUIET_SECONDS = 10.0
DEADLINE_SECONDS = 300.0
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was there and is gone."""

    versions: int
    rows: int
    letters: int


@dataclass(slots=True)
class Forgetting:
    """The places that an image can be in."""

    s3: Any
    dynamodb: Any
    letters: DeadLetters
    bucket: str
    table: str
    monotonic: Callable[[], float] = field(default=time.monotonic)
    pause: Callable[[float], None] = field(default=time.sleep)

    def forget(self, key: str) -> Forgotten:
        """Doing it twice finds nothing the second time.

        Raises:
            ClientError: a permission is missing.
        """
        address = f"s3://{self.bucket}/{key}"
        versions = self._versions(key)
        for version in versions:
            self.s3.delete_object(Bucket=self.bucket, Key=key, VersionId=version)
        letters = self.letters.remove(lambda letter: letter.speaks_of(address))
        return Forgotten(len(versions), self._remove_row(address), letters)

    def _remove_row(self, address: str) -> int:
        """Removes the row until it has stayed away for QUIET_SECONDS; whether there was one."""
        found = 0
        begin = quiet_since = self.monotonic()
        while (now := self.monotonic()) - quiet_since < QUIET_SECONDS:
            removed = self.dynamodb.delete_item(
                TableName=self.table, Key={"image": {"S": address}}, ReturnValues="ALL_OLD"
            )
            if removed.get("Attributes"):
                found, quiet_since = 1, now
            if now - begin > DEADLINE_SECONDS:
                break
            self.pause(POLL_SECONDS)
        return found

    def _versions(self, key: str) -> list[str]:
        """Of exactly this key: versions and delete markers."""
        pages = self.s3.get_paginator("list_object_versions").paginate(
            Bucket=self.bucket, Prefix=key
        )
        return [
            each["VersionId"]
            for page in pages
            for each in (*page.get("Versions", []), *page.get("DeleteMarkers", []))
            if each["Key"] == key
        ]
