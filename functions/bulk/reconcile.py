"""The last step of a round: adds up the chunks, and sends what failed once more or reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from bulk.chunks import of_each_chunk, write_chunk_names
from bulk.costs import estimated_cost
from bulk.ledger import Fate, Sums, failed
from bulk.report_page import report_page
from bulk.run import LAST_ROUND, BulkRun, RunFiles, chunk_name
from bulk.work_bucket import WorkBucket

# Fewer than in the first round: what made a function fail or run out of time shall not again.
RESUBMITTED_CHUNK_IMAGES = 100


@dataclass(slots=True)
class _NextRound:
    """The chunks of images that come again, written as soon as one is full."""

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


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Memory: some chunks' sums, and the lines of one chunk that comes again."""

    work: WorkBucket
    run: BulkRun
    now: Callable[[], str]

    def go(self, round_: int, job: dict[str, Any] | None) -> dict[str, Any]:
        """What the workflow does next: ``prepare`` another round, or it is ``complete`` or not."""
        files = RunFiles(self.run.run)
        sums, again = Sums(), _NextRound(self.work, files, round_ + 1)
        for own, lines in of_each_chunk(
            self.work, files, round_, partial(self._chunk, files, round_)
        ):
            sums.add(own)
            again.take(lines)
        again.end()
        self.work.write_json(
            files.round_sums(round_), {"sums": sums.to_json(), "job": job_facts(job)}
        )
        if again.images:
            return {"next": "prepare", "round": round_ + 1}
        return self._report(files, round_)

    def _chunk(self, files: RunFiles, round_: int, chunk: str) -> tuple[Sums, list[dict[str, Any]]]:
        """A chunk's sums, and the lines that come again; all of them where its function failed."""
        recorded = self.work.read_json(files.recorded(chunk))
        if recorded is not None:
            sums = Sums.from_json(recorded)
            again = bool(sums.fates[Fate.RESUBMITTED])
            return sums, self.work.read_lines(files.resubmitted(chunk)) if again else []
        lines = self.work.read_lines(files.listing(chunk))
        entries = [failed(line["key"], line["version"], "not_recorded", round_) for line in lines]
        return Sums.of(len(lines), entries), lines if round_ < LAST_ROUND else []

    def _report(self, files: RunFiles, last_round: int) -> dict[str, Any]:
        total, jobs = Sums(), []
        for round_ in range(last_round + 1):
            written = self.work.read_json(files.round_sums(round_)) or {}
            sums = Sums.from_json(written["sums"])
            # What came again is counted where it ended.
            sums.listed -= sums.fates.pop(Fate.RESUBMITTED, 0)
            total.add(sums)
            jobs += [written["job"]] if written["job"] else []
        listing = self.work.read_json(files.listing_json) or {}
        report = self._facts(total, listing, jobs, last_round)
        self.work.write_json(files.report_json, report)
        page = report_page(report).encode()
        self.work.write(files.report_html, page, "text/html; charset=utf-8")
        next_ = "complete" if report["status"] == "COMPLETE" else "incomplete"
        counts = ("listed", "classified", "rejected", "skipped", "failed", "ignored")
        told = ("run", "status", "model", *counts)
        return {
            "next": next_,
            "round": last_round,
            "summary": {name: report[name] for name in told},
        }

    def _facts(
        self, total: Sums, listing: dict[str, Any], jobs: list[dict[str, Any]], last_round: int
    ) -> dict[str, Any]:
        finished_at = self.now()
        seconds = seconds_between(self.run.started_at, finished_at)
        fates = {str(each): total.fates[each] for each in Fate if each is not Fate.RESUBMITTED}
        listed = listing.get("listed", 0)
        unaccounted = listed - sum(fates.values())
        complete = unaccounted == 0 and not fates[Fate.FAILED]
        return {
            "run": self.run.run,
            "source": dict(self.run.source),
            "model": self.run.model,
            "direct": self.run.direct,
            "status": "COMPLETE" if complete else "INCOMPLETE",
            "started_at": self.run.started_at,
            "finished_at": finished_at,
            "seconds": round(seconds, 3),
            "listed": listed,
            **fates,
            "ignored": listing.get("ignored", 0),
            "unaccounted": unaccounted,
            "rounds": last_round + 1,
            "labels": dict(total.labels.most_common()),
            "confidence_histogram": total.histogram,
            "rejections": dict(total.rejections.most_common()),
            "skips": dict(total.skips.most_common()),
            "failures": dict(total.failures.most_common()),
            "examples": {"rejected": total.rejected_examples, "failed": total.failed_examples},
            "images_per_second": round(listed / seconds, 1) if seconds else None,
            "transform_jobs": jobs,
            "shards": total.shards,
            "estimated_cost_dollars": estimated_cost(self.run, total, jobs),
            "ledger": f"s3://{self.work.name}/{RunFiles(self.run.run).ledgers}",
        }


def job_facts(job: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the report says of a transform job, from what DescribeTransformJob answered."""
    if not job:
        return None
    start, end = job.get("TransformStartTime"), job.get("TransformEndTime")
    return {
        "name": job["TransformJobName"],
        "status": job["TransformJobStatus"],
        "reason": job.get("FailureReason"),
        "seconds": round(moment(end) - moment(start), 3) if start and end else None,
    }


def moment(value: str | float) -> float:
    """Step Functions passes times on as numbers (milliseconds or seconds) or as ISO 8601."""
    if isinstance(value, int | float):
        milliseconds_since = 1e11  # in seconds that were the year 5138
        return value / 1000 if value > milliseconds_since else float(value)
    return datetime.fromisoformat(value).timestamp()


def seconds_between(start: str, end: str) -> float:
    return moment(end) - moment(start)
