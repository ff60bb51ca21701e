"""The chunks of a round, by name: written once, then looked at by every later step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bulk.run import RunFiles, chunk_name
from bulk.work_bucket import WorkBucket

T = TypeVar("T")

# One step looks at all chunks of a folder within its 15 minutes. S3 answers after some 30 ms;
# sixteen at once look at 100,000 chunks (100 million images) in a few minutes.
PARALLEL_CHUNKS = 16


def write_chunk_names(work: WorkBucket, files: RunFiles, count: int, round_: int) -> None:
    """What the Distributed Map of a round reads."""
    names = [{"chunk": chunk_name(number, round_)} for number in range(count)]
    work.write_json(files.chunks(round_), names)


def of_each_chunk(
    work: WorkBucket, files: RunFiles, round_: int, look: Callable[[str], T]
) -> Iterator[T]:
    """What ``look`` says of each chunk, in their order; sixteen chunks' worth in memory.

    Raises:
        Exception: whatever ``look`` raised.
    """
    names = [each["chunk"] for each in work.read_json(files.chunks(round_)) or ()]
    with ThreadPoolExecutor(PARALLEL_CHUNKS) as pool:
        for start in range(0, len(names), PARALLEL_CHUNKS):
            yield from pool.map(look, names[start : start + PARALLEL_CHUNKS])
