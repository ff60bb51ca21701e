"""Everything about one image, gone: its versions, its prediction, the letters that speak of it.

What stays is a tombstone with the image's address and nothing of what it showed. Without one, a
function that had read the image before it was erased, or a bulk run that goes on with prepared
pixels, would write the prediction again. It is ordered by S3's clock, as rows of bulk runs are:
whatever S3 said of the key until now is older, and what is uploaded afterwards is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from bulk.run import RunFiles
from bulk.work_bucket import WorkBucket
from imagedrop.dead_letters import DeadLetters
from pipeline import records
from pipeline.events import NO_SEQUENCER, Change, ImageRef, utc_text
from pipeline.records import Status
from pipeline.table_items import to_item

# The tombstone's reason, and its version, which no event can name: the events of the erasure itself
# change a row only while it shows the version that they erased.
FORGOTTEN = "forgotten"
# S3 tells its time in whole seconds, its events in thousandths.
CLOCK_STEP = timedelta(seconds=1)
# Runs over an inventory or a list of keys may hold any image.
FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was there and is gone.

    Attributes:
        bulk_runs: runs whose work files may hold the image's pixels until they expire.
    """

    versions: int
    rows: int
    letters: int
    bulk_runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The places that an image can be in."""

    s3: Any
    dynamodb: Any
    letters: DeadLetters
    bucket: str
    table: str
    work_bucket: str

    def forget(self, key: str) -> Forgotten:
        """Doing it twice finds nothing the second time, and finishes what was interrupted.

        Raises:
            ClientError: a permission is missing.
        """
        versions, s3_time = self._versions(key)
        # First, so that what is at work with the image now is too late already.
        rows = self._bury(key, s3_time, versions)
        for version in versions:
            self.s3.delete_object(Bucket=self.bucket, Key=key, VersionId=version)
        address = f"s3://{self.bucket}/{key}"
        # A letter that speaks of others too is theirs: sent back, it finds this image gone.
        letters = self.letters.remove(
            lambda letter: {each.image for each in letter.images} == {address}
        )
        return Forgotten(len(versions), rows, letters, tuple(self._bulk_runs(key)))

    def _versions(self, key: str) -> tuple[list[str], datetime]:
        """Versions and delete markers of exactly this key, and S3's time when it began to list."""
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
        """Puts the tombstone where a row is or may still come; how many predictions it replaces."""
        address = f"s3://{self.bucket}/{key}"
        item = self.dynamodb.get_item(
            TableName=self.table, Key={"image": {"S": address}}, ConsistentRead=True
        ).get("Item")
        is_forgotten = item is not None and item.get("reason", {}).get("S") == FORGOTTEN
        if not versions and (item is None or is_forgotten):
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
