"""Erase one image: its versions, its prediction, and the dead letters about it.

A tombstone stays, with the image's address and nothing that it showed. Without it, a function
that read the image before the erasure, or a bulk run that works with prepared pixels, would write
the prediction again. It is ordered by S3's clock, as rows of bulk runs are: every event of the key
until now is older, and a later upload is newer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from bulk.run import RunFiles
from bulk.work_bucket import WorkBucket
from imagedrop.dead_letters import DeadLetters, dead_letters_of
from imagedrop.target import Target
from imagedrop.unicode_forms import spellings
from pipeline import records
from pipeline.events import NO_SEQUENCER, Change, ImageRef, utc_text
from pipeline.records import Status
from pipeline.table_items import Item, to_item

# The tombstone's reason, and its version, which no event can have: the erasure's own events change
# a row only while it shows the version that they erased.
FORGOTTEN = "forgotten"
# S3's Date header has whole seconds, its events have milliseconds.
CLOCK_STEP = timedelta(seconds=1)
# Runs over an inventory or a list of keys may hold any image.
FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The numbers of erased items.

    Attributes:
        bulk_runs: names of runs with work files that may hold the image's pixels until they expire.
    """

    versions: int
    rows: int
    dead_letters: int
    bulk_runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Everything that can hold an image or a message about it."""

    s3: Any
    dynamodb: Any
    dead_letters: DeadLetters
    bucket: str
    table: str
    work_bucket: str

    def forget(self, key: str) -> Forgotten:
        """Erases one image; a second call finishes an interrupted one, or finds nothing.

        Raises:
            ClientError: a permission is missing.
        """
        versions, s3_time = self._versions(key)
        # First, so that a function that is working on the image now comes too late.
        rows = self._bury(key, s3_time, versions)
        for version in versions:
            self.s3.delete_object(Bucket=self.bucket, Key=key, VersionId=version)
        address = f"s3://{self.bucket}/{key}"
        # A message about other images too is kept for them: after a redrive this image is missing.
        dead_letters = self.dead_letters.remove(
            lambda letter: {each.image for each in letter.images} == {address}
        )
        return Forgotten(len(versions), rows, dead_letters, tuple(self._bulk_runs(key)))

    def spellings(self, key: str) -> list[str]:
        """Returns the Unicode forms of a key in which the bucket or the table knows an image."""
        forms = spellings(key)
        # Without accents there is one form, and nothing to look for.
        return [each for each in forms if len(forms) == 1 or self._is_known(each)]

    def _is_known(self, key: str) -> bool:
        item = self._item(key)
        return bool(self._versions(key)[0]) or (item is not None and not _is_forgotten(item))

    def _versions(self, key: str) -> tuple[list[str], datetime]:
        """Lists versions and delete markers of exactly this key; also S3's time when it began."""
        pages = self.s3.get_paginator("list_object_versions").paginate(
            Bucket=self.bucket, Prefix=key
        )
        found: list[str] = []
        times: list[datetime] = []
        for page in pages:
            headers = page["ResponseMetadata"]["HTTPHeaders"]
            times.append(parsedate_to_datetime(headers["date"]))
            found += [
                each["VersionId"]
                for each in (*page.get("Versions", []), *page.get("DeleteMarkers", []))
                if each["Key"] == key
            ]
        return found, times[0]

    def _bury(self, key: str, s3_time: datetime, versions: list[str]) -> int:
        """Writes the tombstone where a row exists or may come; counts replaced predictions."""
        item = self._item(key)
        if not versions and (item is None or _is_forgotten(item)):
            return 0
        ref = ImageRef(
            bucket=self.bucket,
            key=key,
            version=FORGOTTEN,
            versioned=False,
            sequencer=NO_SEQUENCER,
            size_bytes=0,
            received_at=utc_text(s3_time + CLOCK_STEP),
            change=Change.REMOVED,
        )
        tombstone = records.deleted(ref, utc_text(datetime.now(UTC)), reason=FORGOTTEN)
        self.dynamodb.put_item(TableName=self.table, Item=to_item(tombstone, ref))
        return int(item is not None and item["status"]["S"] != Status.DELETED)

    def _item(self, key: str) -> Item | None:
        address = f"s3://{self.bucket}/{key}"
        found: Item | None = self.dynamodb.get_item(
            TableName=self.table, Key={"image": {"S": address}}, ConsistentRead=True
        ).get("Item")
        return found

    def _bulk_runs(self, key: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.work_bucket, Prefix="work/", Delimiter="/"
        )
        runs = [
            each["Prefix"].split("/")[1]
            for page in pages
            for each in page.get("CommonPrefixes", [])
        ]
        work = WorkBucket(self.s3, self.work_bucket)
        return [run for run in runs if self._may_hold(work.read_json(RunFiles(run).run_json), key)]

    def _may_hold(self, run: dict[str, Any] | None, key: str) -> bool:
        source = (run or {}).get("source", {})
        if source.get("kind") != FOLDER:
            return True
        return bool(source["bucket"] == self.bucket and key.startswith(source["prefix"]))


def forgetting(found: Target) -> Forgetting:
    """Returns the eraser of a deployed stack."""
    return Forgetting(
        found.client("s3"),
        found.client("dynamodb"),
        dead_letters_of(found),
        found.images_bucket,
        found.outputs["PredictionsTableName"],
        found.outputs["WorkBucketName"],
    )


def _is_forgotten(item: Item) -> bool:
    return bool(item.get("reason", {}).get("S") == FORGOTTEN)
