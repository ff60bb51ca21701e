"""The fourth step: checks and writes a chunk's answers, and its ledger with every image."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from bulk.comparison import compare
from bulk.ledger import Entry, Fate, Sums, entry_of, failed
from bulk.prepare_chunk import Predictions, reason_of, written_entry
from bulk.run import BulkRun, Listed, RunFiles
from bulk.shards import ShardRow
from bulk.work_bucket import WorkBucket
from imaging import Rejection, RejectReason
from pipeline import records
from pipeline.adapters.predictions_table import INSERTS_AT_ONCE
from pipeline.answers import Answer, InvalidAnswerError, parse_answers
from pipeline.errors import TransientError
from pipeline.events import ImageRef
from pipeline.records import Record, Road

logger = logging.getLogger(__name__)

# A write waits a few milliseconds for DynamoDB and costs 1.4 ms of CPU: eight keep one vCPU busy.
PARALLEL_WRITES = 8

Verdict = Answer | Rejection | str
"""The model's answer, a rejection, or the reason for having neither."""

WithRef = tuple[Record, ImageRef]
"""A record, and the version of an image that it is about."""


@dataclass(frozen=True, slots=True)
class RecordChunk:
    """The adapters of the step. Memory: one chunk's lines and one shard's answers."""

    predictions: Predictions
    work: WorkBucket
    bulk_run: BulkRun
    now: Callable[[], str]

    def run(self, chunk: str, round_: int, *, is_last: bool) -> None:
        """Records a chunk and writes ``recorded/CHUNK.json``; does nothing if that exists.

        Args:
            is_last: failed images are not retried.

        Raises:
            TransientError: the work bucket did not answer; the chunk is retried.
        """
        files = self.bulk_run.files
        if self.work.exists(files.recorded(chunk)):
            return
        began = time.monotonic()
        listed = [Listed(**line) for line in self.work.read_lines(files.listing(chunk))]
        prepared = self.work.read_json(files.prepared(chunk)) or {"shards": [], "entries": []}
        entries = [Entry.from_json(each) for each in prepared["entries"]]
        are_new = True
        with ThreadPoolExecutor(PARALLEL_WRITES) as pool:
            for verdicts in self._verdicts(files, chunk, prepared, pool):
                decided = [self._decide(row, verdict, round_) for row, verdict in verdicts]
                answers = [each for each in decided if not isinstance(each, Entry)]
                inserted = self._insert(answers, pool) if are_new else set[str]()
                # A chunk whose images have rows pays for refused inserts once only.
                are_new = are_new and bool(inserted or not answers)
                write = partial(self._write, inserted, round_)
                entries += [each for each in decided if isinstance(each, Entry)]
                entries += pool.map(write, answers)
        entries += _unaccounted(listed, entries, round_)
        if is_last:
            entries = [each.ended() for each in entries]
        sums = Sums.of(len(listed), entries)
        sums.shards = len(prepared["shards"])
        sums.prepare_seconds = prepared.get("seconds", 0.0)
        sums.record_seconds = time.monotonic() - began
        self.work.write_lines(files.ledger(chunk), _ledger_lines(listed, entries))
        if self.bulk_run.compares:
            comparison = compare(self.bulk_run, listed, entries)
            self.work.write_json(files.compared(chunk), comparison.to_json())
        again = [each.to_json() for each in _resubmitted(listed, entries)]
        if again:
            self.work.write_lines(files.resubmitted(chunk), again)
        # Last, because it means that all the other files exist.
        self.work.write_json(files.recorded(chunk), sums.to_json())

    def _verdicts(
        self, files: RunFiles, chunk: str, prepared: dict[str, Any], pool: ThreadPoolExecutor
    ) -> Iterator[list[tuple[ShardRow, Verdict]]]:
        for shard in prepared["shards"]:
            yield self._shard_verdicts(files, shard["name"])
        if self.bulk_run.direct:
            rows = [ShardRow(Listed(**line)) for line in self.work.read_lines(files.direct(chunk))]
            # As many at a time as a shard has, to limit the answers in memory.
            for start in range(0, len(rows), self.bulk_run.shard_images):
                window = rows[start : start + self.bulk_run.shard_images]
                yield list(pool.map(lambda row: self._direct_verdict(files, row), window))

    def _shard_verdicts(self, files: RunFiles, name: str) -> list[tuple[ShardRow, Verdict]]:
        lines = self.work.read_lines(files.shard_rows(name))
        rows = [ShardRow.from_json(line) for line in lines]
        verdicts = self._answers(self.work.read(files.output(f"{name}.npy")), len(rows))
        return list(zip(rows, verdicts, strict=True))

    def _answers(self, output: bytes | None, count: int) -> list[Verdict]:
        """Returns one verdict per image: the validated answer, or the reason it is missing."""
        if output is None:
            return ["no_output"] * count
        answers: Sequence[Answer | None]
        try:
            answers = parse_answers(output, count)
        except InvalidAnswerError as error:
            logger.warning("invalid output", extra={"error": str(error)})
            answers = error.answers or [None] * count
        return [self._verdict(each) for each in answers]

    def _verdict(self, answer: Answer | None) -> Verdict:
        if answer is None:
            return "invalid_output"
        return answer if answer.model == self.bulk_run.model else "another_model"

    def _direct_verdict(self, files: RunFiles, row: ShardRow) -> tuple[ShardRow, Verdict]:
        output = self.work.read(files.output(row.image.key))
        rejection = _rejection_in(output)
        if rejection is not None:
            return row, rejection
        (verdict,) = self._answers(output, 1)
        if isinstance(verdict, Answer) and output is not None:
            about = json.loads(output)[0].get("image", {})
            row = ShardRow(row.image, about.get("format"), about.get("width"), about.get("height"))
        return row, verdict

    def _decide(self, row: ShardRow, verdict: Verdict, round_: int) -> Entry | WithRef:
        ref = row.image.to_ref()
        if isinstance(verdict, str):
            return failed(ref.key, ref.version, verdict, round_)
        if isinstance(verdict, Rejection):
            return records.rejected(ref, verdict, self.now(), Road.BULK), ref
        return records.classified(ref, row, verdict, self.now(), Road.BULK), ref

    def _insert(self, answers: Sequence[WithRef], pool: ThreadPoolExecutor) -> set[str]:
        """Returns the images that had no row and have theirs now."""
        starts = range(0, len(answers), INSERTS_AT_ONCE)
        pages = (answers[start : start + INSERTS_AT_ONCE] for start in starts)
        return set().union(*pool.map(self._insert_page, pages))

    def _insert_page(self, answers: Sequence[WithRef]) -> set[str]:
        try:
            return self.predictions.insert_listed(answers)
        except Exception as error:
            # Each image is written by itself now, and fails by itself if it must.
            if not isinstance(error, TransientError):
                logger.exception("inserts failed")
            return set()

    def _write(self, inserted: set[str], round_: int, answer: WithRef) -> Entry:
        record, ref = answer
        if ref.image in inserted:
            return entry_of(record)
        try:
            return written_entry(self.predictions.write_listed(record, ref), record)
        except Exception as error:
            if not isinstance(error, TransientError):
                logger.exception("image failed", extra={"image": ref.image})
            return failed(ref.key, ref.version, reason_of(error), round_)


def _rejection_in(output: bytes | None) -> Rejection | None:
    """Returns the rejection in a transform job's output; None if it holds none."""
    try:
        entry = json.loads(output or b"[]")[0]
        return Rejection(RejectReason(entry["error"]["code"]), entry["error"]["message"])
    except (ValueError, KeyError, IndexError, TypeError):
        return None  # an answer, or malformed: `parse_answers` decides


def _ledger_lines(listed: list[Listed], entries: list[Entry]) -> Iterator[dict[str, Any]]:
    """Yields the lines of the ledger; in a comparison each has the row's answer, as ``live``."""
    live = {each.key: each.live for each in listed if each.live is not None}
    for each in entries:
        yield each.to_json() | ({"live": live[each.key]} if each.key in live else {})


def _unaccounted(listed: list[Listed], entries: list[Entry], round_: int) -> list[Entry]:
    """Returns entries of the images without any: their chunk's function failed."""
    said = Counter(each.key for each in entries)
    missing = Counter(each.key for each in listed) - said
    return [failed(key, None, "not_prepared", round_) for key in missing.elements()]


def _resubmitted(listed: list[Listed], entries: list[Entry]) -> list[Listed]:
    """Returns the lines to retry; a list of keys may hold a key twice."""
    again = Counter(each.key for each in entries if each.fate is Fate.RESUBMITTED)
    lines: list[Listed] = []
    for each in listed:
        if again[each.key]:
            again[each.key] -= 1
            lines.append(each)
    return lines
