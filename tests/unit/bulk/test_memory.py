"""No step of a bulk run holds the folder: its memory is the same for ten times the images."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest

from bulk.ledger import Entry, Fate, Sums
from bulk.list_images import Position, Progress, SourcePage, list_images
from bulk.plan_transform import plan_transform
from bulk.reconcile import reconcile
from bulk.run import BulkRun, Listed
from bulk.work_bucket import WorkBucket
from tests.unit.bulk.conftest import bulk_run

pytestmark = pytest.mark.thorough

FEW, MANY = 5_000, 50_000
PAGE = CHUNK = 1000
SHARD = 64


class SyntheticSource:
    """As many objects as a test wants, made when they are asked for."""

    def __init__(self, count: int) -> None:
        self._count = count

    def pages(self, after: Position) -> Iterator[SourcePage]:
        for start in range(after or 0, self._count, PAGE):
            listed = [
                Listed("bucket", f"folder/with/a/long/name/{number:09}.jpg", "v" * 32)
                for number in range(start, start + PAGE)
            ]
            end = start + PAGE
            yield SourcePage(listed, end if end < self._count else None)


class SyntheticWork(WorkBucket):
    """Forgets what is written, and answers what the steps before would have written."""

    def __init__(self, images: int) -> None:
        super().__init__(None, "work")  # type: ignore[arg-type]
        self.images = images
        self.written_bytes = 0
        self.small: dict[str, bytes] = {}

    def exists(self, key: str) -> bool:
        return False

    def read(self, key: str) -> bytes | None:
        if key in self.small:
            return self.small[key]
        if "/chunks-0" in key or "/waves/0-0000" in key:
            names = [{"chunk": f"{number:06}"} for number in range(self.images // CHUNK)]
            return json.dumps(names).encode()
        chunk = key.rpartition("/")[2].removesuffix(".json")
        if "/prepared/" in key:
            shards = [{"name": name, "images": SHARD} for name in shard_names(chunk)]
            return json.dumps({"shards": shards, "entries": [], "seconds": 1.0}).encode()
        if "/recorded/" in key:
            entries = [
                Entry(f"{chunk}/{number}", "v", Fate.CLASSIFIED, f"label {number % 118}", 0.5)
                for number in range(CHUNK)
            ]
            return json.dumps(Sums.of(CHUNK, entries).to_json()).encode()
        if key.endswith("listing.json"):
            return json.dumps({"listed": self.images, "ignored": 0}).encode()
        return None

    def write(self, key: str, content: bytes, content_type: str) -> None:
        self.written_bytes += len(content)
        if "round-" in key or "report.json" in key:
            self.small[key] = content

    def write_stream(self, key: str, pieces: Iterable[bytes], content_type: str) -> None:
        for piece in pieces:
            self.written_bytes += len(piece)

    def keys(self, prefix: str) -> Iterator[str]:
        folder, _, chunk = prefix.removesuffix("-").rpartition("/")
        if folder.endswith("/shards"):
            yield from (f"{folder}/{name}.npy" for name in shard_names(chunk))


def shard_names(chunk: str) -> list[str]:
    return [f"{chunk}-{number:04}-0123abcd" for number in range(CHUNK // SHARD + 1)]


def listing(work: SyntheticWork, run: BulkRun) -> None:
    progress = list_images(SyntheticSource(work.images), work, run, Progress(), lambda: False)
    assert progress.listed == work.images


def planning(work: SyntheticWork, run: BulkRun) -> None:
    plan = plan_transform(work, run, 0, 0, "trial-1")
    assert plan["objects"] == work.images // CHUNK * (CHUNK // SHARD + 1)


def reconciling(work: SyntheticWork, run: BulkRun) -> None:
    result: Mapping[str, Any] = reconcile(work, run, lambda: "2999-01-01T00:00:00.000Z", 0)
    assert result["summary"]["classified"] == work.images


@pytest.mark.parametrize("step", [listing, planning, reconciling])
def test_memory_of_a_step_does_not_grow_with_the_folder(
    step: Callable[[SyntheticWork, BulkRun], None],
) -> None:
    run = bulk_run(chunk_images=CHUNK, shard_images=SHARD)

    def peak_bytes(images: int) -> int:
        work = SyntheticWork(images)
        tracemalloc.start()
        try:
            step(work, run)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(PAGE)  # what is made once: imports, caches
    few, many = peak_bytes(FEW), peak_bytes(MANY)
    # What sixteen threads hold at once differs from run to run, by a few chunks. The lines of
    # the 45,000 images that one folder has and the other has not would be 4.5 MB at least.
    assert many - few < 3_000_000, (few, many)
    assert many < 8_000_000
