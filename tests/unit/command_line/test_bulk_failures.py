"""The reason of a run's end is explained in plain words, with the next step."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bulk.run import OVER_A_LIMIT
from imagedrop.bulk.failures import explain
from imagedrop.bulk.runs import Execution, ExecutionStatus
from tests.unit.command_line.conftest import Stack, report


def execution(status: str = "FAILED", error: str = "", cause: str = "") -> Execution:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    return Execution("dogs", 1, ExecutionStatus(status), now, {}, error, cause)


@pytest.mark.parametrize(
    ("error", "cause", "words", "next_step"),
    [
        ("SageMaker.ResourceLimitExceeded", "limit is 0", "may not start", "Service Quotas"),
        ("S3.S3Exception", "AccessDenied for role r", "permission", "role"),
        ("SourceError", "an inventory of format ORC", "ORC", "new run"),
        ("NoSuchBucket", "", "no such bucket", "address"),
        ("Sandbox.Timedout", "Task timed out after 900.00 seconds", "15 minutes", "chunk-images"),
        ("Lambda.TooManyRequestsException", "Rate exceeded", "no function free", "resume dogs"),
        ("Surprise", "of a new kind", "Surprise: of a new kind", "resume dogs"),
        ("", "", "FAILED", "resume dogs"),
    ],
)
def test_an_execution_that_failed(error: str, cause: str, words: str, next_step: str) -> None:
    verdict = explain(execution(error=error, cause=cause), None)
    assert words in verdict.reason
    assert next_step in verdict.next_step


def test_a_functions_own_message_is_shown_without_its_json() -> None:
    cause = json.dumps({"errorMessage": "it is broken", "errorType": "E", "stackTrace": ["x"]})
    verdict = explain(execution(error="KeyError", cause=cause), None)
    assert verdict.reason == "KeyError: it is broken"


def test_stopped_and_timed_out_runs_can_go_on() -> None:
    for status in ("ABORTED", "TIMED_OUT"):
        assert "bulk resume dogs" in explain(execution(status), None).next_step


def test_while_it_runs_nothing_is_wrong() -> None:
    assert explain(execution("RUNNING"), None).reason == ""
    assert explain(execution("SUCCEEDED"), report("dogs")).reason == ""


def not_created(error: str) -> dict[str, Any]:
    return {
        "name": "job-0",
        "status": "NotCreated",
        "error": error,
        "reason": "the limit is 0 Instances",
        "seconds": None,
    }


@pytest.mark.parametrize(
    ("changes", "words", "next_step"),
    [
        ({"failed": 2, "failures": {"Throttling": 4}}, "2 images failed", "--failed"),
        (
            {
                "failed": 2,
                "transform_jobs": [{"name": "j", "status": "Failed", "reason": "AlgorithmError"}],
            },
            "AlgorithmError",
            "--failed",
        ),
        ({"failed": 2, "transform_jobs": [not_created(OVER_A_LIMIT)]}, "is 0", "Service Quotas"),
        ({"failed": 2, "transform_jobs": [not_created("E")]}, "E: the limit is 0", "new run"),
        ({"failed": 2, "failures": {"no_output": 4}}, "no transform job", "Service Quotas"),
        ({"unaccounted": 1}, "bug", "report it"),
    ],
)
def test_a_run_with_an_incomplete_report(
    changes: dict[str, Any], words: str, next_step: str
) -> None:
    found = report("dogs", status="INCOMPLETE", **changes)
    verdict = explain(execution(error="BulkRunIncomplete"), found)
    assert words in verdict.reason
    assert next_step in verdict.next_step


def test_report_shows_why_there_is_no_job_and_what_to_do(stack: Stack) -> None:
    job = not_created(OVER_A_LIMIT)
    stack.write_report("dogs", status="INCOMPLETE", failed=2, transform_jobs=[job])
    said = " ".join(stack.bulk("report", "dogs").output.split())
    assert "NotCreated" in said
    assert "the limit is 0 Instances" in said
    assert "Raise the quota in Service Quotas" in said
