"""``report.json``: the results of a run's images, and the quantities that determine its cost."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any, TypedDict

from bulk.ledger import Fate, Sums
from bulk.run import BulkRun


class JobFacts(TypedDict):
    """A transform job: ``seconds`` from its start to its end, None if it lacks one of them. If
    SageMaker created no job, ``status`` is ``NotCreated`` and ``error`` is Step Functions' name of
    the error.
    """

    name: str
    status: str
    error: str | None
    reason: str | None
    seconds: float | None


class Report(TypedDict, total=False):
    """The report of a run; times are UTC, ISO 8601.

    Keys:
        run, source, model, direct: as in ``BulkRun``.
        status: ``COMPLETE`` if every listed image is accounted for and none has failed.
        seconds: from start to end, on the clock.
        listed: images that the source holds; they are ``classified``, ``rejected``, ``skipped``,
            ``failed`` or, if a step has lost them, ``unaccounted``.
        ignored: names that are not images: folder markers, hidden and system files and folders.
            They are not among the ``listed``.
        ignored_reasons: ignored names per reason, most frequent first.
        ignored_names: the folder with every ignored name and its reason.
        rounds: 1, or 2 if images were retried.
        labels: images per label, most frequent first.
        confidence_histogram: classified images in 20 bins of 0.05 from 0 to 1.
        rejections, skips, failures: images per reason, most frequent first. ``failures`` counts
            attempts, those of the first round too.
        examples: up to 200 ``rejected`` and ``failed`` images by name, each with its reason.
        images_per_second: listed images by ``seconds``; None for a run without a duration.
        transform_jobs: one per wave that needed one.
        shards: files of packed images.
        instance_type, instance_count: the machines of each transform job.
        function_seconds: of all calls that prepared and recorded chunks, by step.
        instance_hours: of all transform jobs, by all their machines.
        ledger: the folder with every image by name.
        comparison: of a run that ``compares``: ``bulk.comparison.Comparison.report``. No row was
        changed, and ``classified`` are the images that the candidate, ``model``, has answered.
    """

    run: str
    source: dict[str, Any]
    model: str
    direct: bool
    status: str
    started_at: str
    finished_at: str
    seconds: float
    listed: int
    classified: int
    rejected: int
    skipped: int
    failed: int
    ignored: int
    ignored_reasons: dict[str, int]
    ignored_names: str
    unaccounted: int
    rounds: int
    labels: dict[str, int]
    confidence_histogram: list[int]
    rejections: dict[str, int]
    skips: dict[str, int]
    failures: dict[str, int]
    examples: dict[str, list[dict[str, Any]]]
    images_per_second: float | None
    transform_jobs: list[JobFacts]
    shards: int
    instance_type: str
    instance_count: int
    function_seconds: dict[str, float]
    instance_hours: float
    ledger: str
    comparison: dict[str, Any]


def report_of(
    run: BulkRun,
    total: Sums,
    listing: dict[str, Any],
    jobs: list[JobFacts],
    finished_at: str,
) -> dict[str, Any]:
    """Returns the report without its ``rounds``, ``ledger`` and ``ignored_names``.

    Args:
        total: of all rounds, each image counted once.
        listing: how many names were ``listed`` and ``ignored``, and ``ignored_reasons``.
    """
    seconds = seconds_between(run.started_at, finished_at)
    listed = listing.get("listed", 0)
    ended = {str(each): total.fates[each] for each in Fate if each is not Fate.RESUBMITTED}
    unaccounted = listed - sum(ended.values())
    complete = unaccounted == 0 and not ended[Fate.FAILED]
    return {
        "run": run.name,
        "source": dict(run.source),
        "model": run.model,
        "direct": run.direct,
        "status": "COMPLETE" if complete else "INCOMPLETE",
        "started_at": run.started_at,
        "finished_at": finished_at,
        "seconds": round(seconds, 3),
        "listed": listed,
        **ended,
        "ignored": listing.get("ignored", 0),
        "ignored_reasons": dict(Counter(listing.get("ignored_reasons", {})).most_common()),
        "unaccounted": unaccounted,
        **_counts(total),
        "images_per_second": round(listed / seconds, 1) if seconds else None,
        "transform_jobs": jobs,
        **_quantities(run, total, jobs),
    }


def _counts(total: Sums) -> dict[str, Any]:
    return {
        "labels": dict(total.labels.most_common()),
        "confidence_histogram": total.histogram,
        "rejections": dict(total.rejections.most_common()),
        "skips": dict(total.skips.most_common()),
        "failures": dict(total.failures.most_common()),
        "examples": {"rejected": total.rejected_examples, "failed": total.failed_examples},
    }


def _quantities(run: BulkRun, total: Sums, jobs: list[JobFacts]) -> dict[str, Any]:
    """Returns the quantities that determine the run's cost; the command line has the prices."""
    job_seconds = sum(job["seconds"] or 0.0 for job in jobs)
    return {
        "shards": total.shards,
        "instance_type": run.instance_type,
        "instance_count": run.instance_count,
        "function_seconds": {
            "prepare": round(total.prepare_seconds, 3),
            "record": round(total.record_seconds, 3),
        },
        "instance_hours": round(job_seconds * run.instance_count / 3600, 6),
    }


def job_facts(job: dict[str, Any]) -> JobFacts:
    """Returns the facts of a transform job: DescribeTransformJob's, or why there is none."""
    problem = job.get("problem", {})
    start, end = job.get("TransformStartTime"), job.get("TransformEndTime")
    return {
        "name": job["TransformJobName"],
        "status": job["TransformJobStatus"],
        "error": problem.get("Error"),
        "reason": job.get("FailureReason") or problem.get("Cause"),
        "seconds": round(moment(end) - moment(start), 3) if start and end else None,
    }


def moment(value: str | float) -> float:
    """Returns seconds since 1970; Step Functions passes milliseconds, seconds or ISO 8601."""
    if isinstance(value, int | float):
        milliseconds_since = 1e11  # as seconds, it would be the year 5138
        return value / 1000 if value > milliseconds_since else float(value)
    return datetime.fromisoformat(value).timestamp()


def seconds_between(start: str, end: str) -> float:
    return moment(end) - moment(start)
