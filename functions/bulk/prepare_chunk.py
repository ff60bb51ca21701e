"""The second step: reads, prepares and packs a chunk's images, except those done already."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from bulk.ledger import Entry, Fate, entry_of, failed, known_already
from bulk.run import BulkRun, Listed
from bulk.shards import ShardWriter
from bulk.work_bucket import WorkBucket
from imaging import ImageSpec, Prepared, Rejection
from pipeline import records
from pipeline.classify_images import PARALLEL_IMAGES
from pipeline.errors import TransientError
from pipeline.events import ImageRef
from pipeline.records import Record, Road, Written

logger = logging.getLogger(__name__)

# Enough for the slowest image (S3's timeouts, a decode at the limits) and the chunk's last files.
LAST_START_SECONDS = 60


class Images(Protocol):
    """The bucket with the images."""

    def read(self, ref: ImageRef) -> bytes | Rejection | None: ...
    def current(self, bucket: str, key: str) -> ImageRef | None: ...


class Predictions(Protocol):
    """The table: it has the known rows and receives rejections."""

    def get_many(self, images: Sequence[str]) -> dict[str, Record]: ...
    def write_listed(self, record: Record, ref: ImageRef) -> Written: ...
    def insert_listed(self, answers: Sequence[tuple[Record, ImageRef]]) -> set[str]: ...


@dataclass(frozen=True, slots=True)
class PrepareChunk:
    """The adapters and limits of the step.

    Memory: one shard's pixels and their copy, four files at their limits, one chunk's lines.
    """

    images: Images
    prepare: Callable[[bytes, ImageSpec], Prepared | Rejection]
    predictions: Predictions
    work: WorkBucket
    bulk_run: BulkRun
    now: Callable[[], str]
    out_of_time: Callable[[], bool]

    def run(self, chunk: str, round_: int) -> None:
        """Prepares a chunk and writes ``prepared/CHUNK.json``; does nothing if that exists.

        Raises:
            TransientError: the work bucket or the table did not answer; the chunk is retried.
        """
        files = self.bulk_run.files
        if self.work.exists(files.prepared(chunk)):
            return
        began = time.monotonic()
        listed = [Listed(**line) for line in self.work.read_lines(files.listing(chunk))]
        with ThreadPoolExecutor(PARALLEL_IMAGES) as pool:
            entries, refs = self._known(listed, round_, pool)
            shards: list[dict[str, object]] = []
            if self.bulk_run.direct:
                lines = [Listed.from_ref(ref).to_json() for ref in refs]
                self.work.write_lines(files.direct(chunk), lines)
            else:
                writer = ShardWriter(self.work, files, self.bulk_run.image_spec, chunk)
                for number, images in enumerate(self._full_shards(refs, round_, pool, entries)):
                    shards.append({"name": writer.write(number, images), "images": len(images)})
        self.work.write_json(
            files.prepared(chunk),
            {
                "shards": shards,
                "direct": len(refs) if self.bulk_run.direct else 0,
                "entries": [each.to_json() for each in entries],
                "seconds": time.monotonic() - began,
            },
        )

    def _known(
        self, listed: list[Listed], round_: int, pool: ThreadPoolExecutor
    ) -> tuple[list[Entry], list[ImageRef]]:
        """Returns the entries of images that need no work, and the remaining images."""
        entries: list[Entry] = []
        refs: list[ImageRef] = []
        for each, found in zip(listed, pool.map(self._current, listed), strict=True):
            if isinstance(found, ImageRef):
                refs.append(found)
            elif isinstance(found, Exception):
                entries.append(failed(each.key, None, reason_of(found), round_))
            else:
                entries.append(Entry(each.key, None, Fate.SKIPPED, reason="gone"))
        rows = self.predictions.get_many(list(dict.fromkeys(ref.image for ref in refs)))
        left: list[ImageRef] = []
        for ref in refs:
            row = rows.get(ref.image)
            entry = (
                known_already(row, self.bulk_run)
                if row is not None and row.version == ref.version
                else None
            )
            if entry is None:
                left.append(ref)
            else:
                entries.append(entry)
        return entries, left

    def _current(self, listed: Listed) -> ImageRef | Exception | None:
        if listed.version is not None:
            return listed.to_ref()
        try:
            return self.images.current(listed.bucket, listed.key)
        except Exception as error:  # noqa: BLE001 - one image's fault is not its neighbours'
            return error

    def _full_shards(
        self,
        refs: list[ImageRef],
        round_: int,
        pool: ThreadPoolExecutor,
        entries: list[Entry],
    ) -> Iterator[list[tuple[ImageRef, Prepared]]]:
        """Yields prepared images, a shard at a time; adds the others' entries to ``entries``."""
        size = self.bulk_run.shard_images
        waiting: list[tuple[ImageRef, Prepared]] = []
        for start in range(0, len(refs), size):
            window = refs[start : start + size]
            results = pool.map(lambda ref: self._prepare(ref, round_), window)
            for ref, result in zip(window, results, strict=True):
                if isinstance(result, Entry):
                    entries.append(result)
                else:
                    waiting.append((ref, result))
            if len(waiting) >= size:
                yield waiting[:size]
                del waiting[:size]
        if waiting:
            yield waiting

    def _prepare(self, ref: ImageRef, round_: int) -> Prepared | Entry:
        try:
            if self.out_of_time():
                raise TransientError("OutOfTime", "the function's time is nearly over")
            data = self.images.read(ref)
            if data is None:
                return Entry(ref.key, ref.version, Fate.SKIPPED, reason="gone")
            result = (
                data
                if isinstance(data, Rejection)
                else self.prepare(data, self.bulk_run.image_spec)
            )
            if isinstance(result, Rejection):
                record = records.rejected(ref, result, self.now(), Road.BULK)
                return written_entry(self.predictions.write_listed(record, ref), record)
            return result
        except Exception as error:
            if not isinstance(error, TransientError):
                logger.exception("image failed", extra={"image": ref.image})
            return failed(ref.key, ref.version, reason_of(error), round_)


def written_entry(written: Written, record: Record) -> Entry:
    """Returns the entry of an image by the table's reaction to its record."""
    if written is Written.NEWER_VERSION:
        return Entry(record.key, record.version, Fate.SKIPPED, reason=Written.NEWER_VERSION)
    return entry_of(record)


def reason_of(error: Exception) -> str:
    """Returns a name to count by: the service's error code, or the exception's class."""
    return error.code if isinstance(error, TransientError) else type(error).__name__
