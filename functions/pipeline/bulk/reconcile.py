"""The last step of a round: adds up the chunks, and sends what failed once more or reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.adapters.work_bucket import WorkBucket
from pipeline.bulk.costs import estimated_cost
from pipeline.bulk.ledger import Fate, Sums
from pipeline.bulk.list_images import write_chunk_names
from pipeline.bulk.report_page import report_page
from pipeline.bulk.run import LAST_ROUND, BulkRun, RunFiles, chunk_name

# Fewer than in the first round: what made a function fail or run out of time shall not again.
RESUBMITTED_CHUNK_IMAGES = 100


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Memory: one chunk's sums, and the lines of one chunk that comes again."""

    work: WorkBucket
    run: BulkRun
    now: Callable[[], str]

    def go(self, round_: int, job: dict[str, Any] | None) -> dict[str, Any]:
        """What the workflow does next: ``prepare`` another round, or it is ``complete`` or not."""
        files = RunFiles(self.run.run)
        sums, again = Sums(), 0
        if round_ < LAST_ROUND:
            again = self._resubmit(files, round_, sums)
        else:
            for chunk in self._chunks(files, round_):
                recorded = self.work.read_json(files.recorded(chunk))
                sums.add(self._sums(files, chunk, recorded, round_))
        self.work.write_json(
            files.round_sums(round_), {"sums": sums.to_json(), "job": job_facts(job)}
        )
        if again:
            return {"next": "prepare", "round": round_ + 1}
        return self._report(files, round_)

    def _chunks(self, files: RunFiles, round_: int) -> Iterator[str]:
        for each in self.work.read_json(files.chunks(round_)) or ():
            yield each["chunk"]

    def _sums(self, files: RunFiles, chunk: str, recorded: Any | None, round_: int) -> Sums:
        """A chunk's sums; where its function failed, all of its images have."""
        if recorded is not None:
            return Sums.from_json(recorded)
        listed = self.work.read_lines(files.listing(chunk))
        sums = Sums(listed=len(listed))
        fate = Fate.RESUBMITTED if round_ < LAST_ROUND else Fate.FAILED
        sums.fates[fate] = len(listed)
        sums.failures["not_recorded"] = len(listed)
        if fate is Fate.FAILED:
            sums.failed_examples = [
                {"key": line["key"], "reason": "not_recorded"} for line in listed
            ]
        return sums

    def _resubmit(self, files: RunFiles, round_: int, sums: Sums) -> int:
        """Adds up this round and writes the next one's chunks; how many images come again."""
        again = chunks = 0
        waiting: list[dict[str, Any]] = []

        def write(lines: list[dict[str, Any]]) -> None:
            nonlocal chunks
            self.work.write_lines(files.listing(chunk_name(chunks, round_ + 1)), lines)
            chunks += 1

        for chunk in self._chunks(files, round_):
            recorded = self.work.read_json(files.recorded(chunk))
            own = self._sums(files, chunk, recorded, round_)
            sums.add(own)
            if own.fates[Fate.RESUBMITTED]:
                source = files.listing(chunk) if recorded is None else files.resubmitted(chunk)
                lines = self.work.read_lines(source)
                again += len(lines)
                waiting += lines
            while len(waiting) >= RESUBMITTED_CHUNK_IMAGES:
                write(waiting[:RESUBMITTED_CHUNK_IMAGES])
                del waiting[:RESUBMITTED_CHUNK_IMAGES]
        if waiting:
            write(waiting)
        write_chunk_names(self.work, files, chunks, round_ + 1)
        return again

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
