"""The names of a round's chunks: written once, then read by every later step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bulk.run import RunFiles, chunk_name
from bulk.work_bucket import WorkBucket

T = TypeVar("T")

# One step reads all chunks of a folder within its 15 minutes. S3 answers in about 30 ms, so sixteen
# at once read 100,000 chunks (100 million images) in a few minutes.
PARALLEL_CHUNKS = 16


def write_chunk_names(work: WorkBucket, files: RunFiles, count: int, round_: int) -> None:
    """Writes the file that the Distributed Map of a round reads."""
    names = [{"chunk": chunk_name(number, round_)} for number in range(count)]
    work.write_json(files.chunks(round_), names)


def of_each_chunk(work: WorkBucket, chunks: str, look: Callable[[str], T]) -> Iterator[T]:
    """Yields the result of ``look`` for each chunk, in order; sixteen results are in memory.

    Args:
        chunks: key of the file with their names: of a round or of a wave.

    Raises:
        Exception: any error of ``look``.
    """
    names = [each["chunk"] for each in work.read_json(chunks) or ()]
    with ThreadPoolExecutor(PARALLEL_CHUNKS) as pool:
        for start in range(0, len(names), PARALLEL_CHUNKS):
            yield from pool.map(look, names[start : start + PARALLEL_CHUNKS])
