"""Explains the result of a bulk run, and the next step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bulk.run import OVER_A_LIMIT
from imagedrop.bulk.runs import Execution, ExecutionStatus

RAISE_QUOTA = (
    "Raise the quota in Service Quotas (SageMaker, transform job usage), or start with "
    "another --instance-type or a lower --instance-count."
)
# Found in the error or the cause of an execution, first match first.
KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        "ResourceLimitExceeded",
        "The account may not start this many instances of this type for transform jobs.",
        RAISE_QUOTA,
    ),
    (
        "AccessDenied",
        "A permission is missing.",
        "For a folder in another bucket, deploy with the parameter BulkSourceBucket=NAME; "
        "otherwise grant the permission to the role in the message. Then: {resume}",
    ),
    (
        "SourceError",
        "The source is invalid.",
        "Correct it, and start a new run.",
    ),
    ("NoSuchBucket", "There is no such bucket.", "Check the address, and start a new run."),
    (
        "States.ExceedToleratedFailureThreshold",
        "Too many chunks failed.",
        "See the functions' logs; then: {resume}",
    ),
    ("States.Timeout", "The run took longer than the workflow allows.", "Resume it with: {resume}"),
    (
        "timed out",
        "A function ran out of its 15 minutes.",
        "Start a new run with a lower --chunk-images: classified images are skipped.",
    ),
    (
        "TooManyRequests",
        "Lambda had no function free: its concurrency limit was reached.",
        "Resume it later with: {resume}",
    ),
    ("Throttl", "A service throttled the run for too long.", "Resume it later with: {resume}"),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The reason of a failure, and the next step; ``reason`` is empty if nothing is wrong."""

    reason: str
    next_step: str


def explain(execution: Execution, report: Mapping[str, Any] | None) -> Verdict:
    """Explains a run's state by its last execution and its report, if there is one."""
    run = execution.run
    resume = f"imagedrop bulk resume {run}"
    if execution.status is ExecutionStatus.RUNNING:
        return Verdict("", f"Watch it with: imagedrop bulk status {run} --wait")
    if report is not None:
        return explain_report(run, report)
    if execution.status is ExecutionStatus.ABORTED:
        return Verdict("It was stopped.", f"Resume it with: {resume}")
    told = f"{execution.error} {execution.cause}"
    if execution.status is ExecutionStatus.TIMED_OUT:
        told = f"States.Timeout {told}"
    detail = _detail(execution)
    for mark, reason, next_step in KNOWN:
        if mark in told:
            words = f"{reason} ({detail})" if detail else reason
            return Verdict(words, next_step.format(resume=resume))
    return Verdict(
        detail or f"It ended as {execution.status} without a reason.",
        f"See the functions' logs; then: {resume}. Finished work is not repeated.",
    )


def explain_report(run: str, report: Mapping[str, Any]) -> Verdict:
    """Explains how a run ended by its report."""
    if report["status"] == "COMPLETE":
        return Verdict("", f"Read the report with: imagedrop bulk report {run}")
    if report["unaccounted"]:
        return Verdict(
            f"{report['unaccounted']:,} images are unaccounted for. This is a bug in imagedrop.",
            f"Please report it, with the output of: imagedrop bulk report {run} --format json",
        )
    jobs = report["transform_jobs"]
    if jobs and jobs[-1]["status"] == "NotCreated":
        return _explain_missing_job(report, jobs[-1])
    # Reports of 0.2 and before have no entry for a job that was not made.
    if report["failures"].get("no_output") and not jobs:
        return Verdict(
            f"{report['failed']:,} images failed: SageMaker started no transform job.",
            "Usually the account has no quota for transform jobs on this instance type: raise it "
            "in Service Quotas, or start a new run with another --instance-type.",
        )
    reasons = [job["reason"] for job in jobs if job.get("reason")]
    because = f" The transform job says: {reasons[-1]}" if reasons else ""
    if "comparison" in report:
        return Verdict(
            f"{report['failed']:,} images failed in both rounds.{because}",
            f"List them with: imagedrop bulk report {run} --failed; the comparison is about the "
            "others. To compare all, start it again.",
        )
    return Verdict(
        f"{report['failed']:,} images failed in both rounds.{because}",
        f"List them with: imagedrop bulk report {run} --failed; then start a new run of the same "
        "folder: classified images are skipped.",
    )


def _explain_missing_job(report: Mapping[str, Any], job: Mapping[str, Any]) -> Verdict:
    because = f"{job['error']}: {job['reason'] or 'without a cause'}"
    return Verdict(
        f"{report['failed']:,} images failed: SageMaker made no transform job. {because}",
        RAISE_QUOTA
        if job["error"] == OVER_A_LIMIT
        else "Remove the cause; then start a new run of the same folder: classified images are "
        "skipped.",
    )


def _detail(execution: Execution) -> str:
    """Reads the message in the JSON that a failed function leaves as the cause."""
    try:
        cause = json.loads(execution.cause)
        message = str(cause["errorMessage"])
    except (ValueError, KeyError, TypeError):
        message = execution.cause
    return ": ".join(filter(None, (execution.error, message)))
