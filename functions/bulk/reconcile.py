"""The last step of a round: adds up the chunks, then retries failed images or reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bulk.chunks import of_each_chunk, write_chunk_names
from bulk.comparison import Comparison
from bulk.ledger import Fate, Sums, failed
from bulk.report import job_facts, report_of
from bulk.run import (
    RESUBMITTED_CHUNK_IMAGES,
    BulkRun,
    RunFiles,
    chunk_name,
    is_last_round,
)
from bulk.turns import FIRST_TURN, jobs_of
from bulk.work_bucket import WorkBucket


@dataclass(slots=True)
class _NextRound:
    """The chunks of images to retry, each written as soon as it is full."""

    work: WorkBucket
    files: RunFiles
    round: int
    images: int = 0
    chunks: int = 0
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def take(self, lines: list[dict[str, Any]]) -> None:
        self.images += len(lines)
        self.waiting += lines
        while len(self.waiting) >= RESUBMITTED_CHUNK_IMAGES:
            self._write(self.waiting[:RESUBMITTED_CHUNK_IMAGES])
            del self.waiting[:RESUBMITTED_CHUNK_IMAGES]

    def end(self) -> None:
        if self.waiting:
            self._write(self.waiting)
        if self.chunks:
            write_chunk_names(self.work, self.files, self.chunks, self.round)

    def _write(self, lines: list[dict[str, Any]]) -> None:
        self.work.write_lines(self.files.listing(chunk_name(self.chunks, self.round)), lines)
        self.chunks += 1


def reconcile(
    work: WorkBucket,
    run: BulkRun,
    now: Callable[[], str],
    round_: int,
) -> dict[str, Any]:
    """Adds up a round; writes failed images as the next round's chunks, or else the report.

    Returns the ``next`` state: ``prepare`` for another round, ``complete`` or ``incomplete``.

    Memory: some chunks' sums, and the lines of one chunk to retry.
    """
    files = run.files
    sums, again = Sums(), _NextRound(work, files, round_ + 1)
    jobs = jobs_of(work, run, round_)
    is_last = any(is_last_round(round_, job.get("problem")) for job in jobs or [{}])
    of_chunk = partial(_chunk, work, files, round_, is_last)
    for own, lines in of_each_chunk(work, files.chunks(round_), of_chunk):
        sums.add(own)
        again.take(lines)
    again.end()
    facts = [job_facts(job) for job in jobs]
    work.write_json(files.round_sums(round_), {"sums": sums.to_json(), "jobs": facts})
    if again.images:
        return {"next": "prepare", "round": round_ + 1, **FIRST_TURN}
    return _report(work, run, now(), round_)


def _chunk(
    work: WorkBucket, files: RunFiles, round_: int, is_last: bool, chunk: str
) -> tuple[Sums, list[dict[str, Any]]]:
    """Returns a chunk's sums and the lines to retry; all lines if its function failed."""
    recorded = work.read_json(files.recorded(chunk))
    if recorded is not None:
        sums = Sums.from_json(recorded)
        again = bool(sums.fates[Fate.RESUBMITTED])
        return sums, work.read_lines(files.resubmitted(chunk)) if again else []
    lines = work.read_lines(files.listing(chunk))
    entries = [failed(line["key"], line["version"], "not_recorded", round_) for line in lines]
    if is_last:
        entries = [each.ended() for each in entries]
    return Sums.of(len(lines), entries), [] if is_last else lines


def _report(work: WorkBucket, run: BulkRun, finished_at: str, last_round: int) -> dict[str, Any]:
    total, jobs = Sums(), []
    for round_ in range(last_round + 1):
        written = work.read_json(run.files.round_sums(round_)) or {}
        sums = Sums.from_json(written["sums"])
        # Retried images are counted in the round that settled them.
        sums.listed -= sums.fates.pop(Fate.RESUBMITTED, 0)
        total.add(sums)
        jobs += written["jobs"]
    listing = work.read_json(run.files.listing_json) or {}
    report = report_of(run, total, listing, jobs, finished_at)
    report |= {
        "rounds": last_round + 1,
        "ledger": f"s3://{work.name}/{run.files.ledgers}",
        "ignored_names": f"s3://{work.name}/{run.files.ignored_names}",
    }
    if run.compares:
        report["comparison"] = _comparison(work, run.files, last_round)
    work.write_json(run.files.report_json, report)
    counts = ("listed", "classified", "rejected", "skipped", "failed", "ignored")
    shown = ("run", "status", "model", *counts)
    return {
        "next": "complete" if report["status"] == "COMPLETE" else "incomplete",
        "round": last_round,
        "summary": {name: report[name] for name in shown},
    }


def _comparison(work: WorkBucket, files: RunFiles, last_round: int) -> dict[str, Any]:
    """Adds up the chunks of all rounds; a chunk that was not recorded has no part in it."""

    def of_chunk(chunk: str) -> Any | None:
        return work.read_json(files.compared(chunk)) if work.exists(files.recorded(chunk)) else None

    total = Comparison()
    for round_ in range(last_round + 1):
        for found in of_each_chunk(work, files.chunks(round_), of_chunk):
            if found is not None:
                total.add(Comparison.from_json(found))
    return total.report()
