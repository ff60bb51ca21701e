"""Measures the memory and the CPU time of `imagedrop export`, with a generated table.

    python -m bench.export --rows 100000

Each format runs in a process of its own. DynamoDB's answers are computed when they are asked for;
everything behind botocore is the product's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from imagedrop.exports import FileFormat, complete_file, write_rows
from imagedrop.predictions import every_record
from imagedrop.target import Target
from pipeline.answers import Answer, Prediction
from pipeline.events import Change, ImageRef, utc_text
from pipeline.queries import Query
from pipeline.records import classified
from pipeline.table_items import INDEX_PARTITIONS, Item, to_item

# Of the whole process, for any number of rows.
MOST_MEGABYTES = 200
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


class Photo:
    format, width, height = "JPEG", 4032, 3024


def ref_of(number: int) -> ImageRef:
    """Returns the photo of row `number`: one a second since FIRST."""
    return ImageRef(
        bucket="stack-images-0123456789ab",
        key=f"incoming/holiday/{number:09}.jpg",
        version=f"{number:032x}",
        versioned=True,
        sequencer=f"{number:032x}",
        size_bytes=3_000_000 + number,
        received_at=utc_text(FIRST + timedelta(seconds=number)),
        change=Change.CREATED,
    )


def answer_of(number: int, confidence: float, model: str) -> Answer:
    """Returns five labels; each has half of the confidence of the one before it."""
    best = tuple(
        Prediction(f"label_{(number + each) % 120}", confidence / 2**each) for each in range(5)
    )
    return Answer(best[0].label, confidence, best, model)


class MadeTable(Target):
    """A target whose table has as many rows as asked, one a second."""

    rows = 0

    def client(self, _service: str) -> Any:
        return self

    def query(self, **asked: Any) -> dict[str, Any]:
        """Answers as DynamoDB does for the newest rows of one partition."""
        values = asked["ExpressionAttributeValues"]
        high = values[":high"]["S"]
        last = self.rows - 1 if high == "~" else self._number(high) - 1
        partition = int(values[":partition"]["S"])
        numbers = range(last - (last - partition) % INDEX_PARTITIONS, -1, -INDEX_PARTITIONS)
        items = [self._item(each) for each in numbers[: asked["Limit"]]]
        more = len(numbers) > len(items)
        return {"Items": items} | ({"LastEvaluatedKey": items[-1]} if more else {})

    def _number(self, recency: str) -> int:
        moment = datetime.fromisoformat(recency.partition("#")[0])
        return round((moment - FIRST).total_seconds())

    def _item(self, number: int) -> Item:
        ref = ref_of(number)
        answer = answer_of(number, 0.9, "dogs@1")
        return to_item(classified(ref, Photo(), answer, ref.received_at), ref)


def export(format_: FileFormat, rows: int) -> None:
    """Writes a file, and prints its memory and CPU time."""
    table = MadeTable(None, {"PredictionsTableName": "predictions"})  # type: ignore[arg-type]
    MadeTable.rows = rows
    before = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows.{format_}"
        with complete_file(path) as output:
            write_rows(every_record(table, Query(), sys.maxsize), format_, output)
        size = path.stat().st_size
    seconds = time.process_time() - before
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert megabytes <= MOST_MEGABYTES, f"{format_} takes {megabytes:.0f} MB"
    print(f"{format_:<9} {rows:<9,} {size / 1e6:<9.1f} {seconds:<7.1f} {megabytes:.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    arguments = parser.parse_args()
    print("format    rows      MB file   CPU s   MB of memory, at most")
    fresh = multiprocessing.get_context("spawn")
    for rows in arguments.rows:
        for format_ in FileFormat:
            process = fresh.Process(target=export, args=(format_, rows))
            process.start()
            process.join()
            assert process.exitcode == 0


if __name__ == "__main__":
    main()
