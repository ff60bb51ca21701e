"""`imagedrop jobs list` shows what is running; a search's trials stay behind their search."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from imagedrop.cli import app
from imagedrop.commands import jobs
from imagedrop.jobs.service import Jobs

BEGAN = datetime(2026, 11, 29, 13, 0, tzinfo=UTC)
SEARCH = "dogs-20261129t130000"


def training(name: str, minutes: int, status: str = "Completed") -> dict[str, Any]:
    created = BEGAN + timedelta(minutes=minutes)
    return {"TrainingJobName": name, "TrainingJobStatus": status, "CreationTime": created}


TRAININGS = [
    training("cats-20261129t132000", 20, "InProgress"),
    training(f"{SEARCH}-002-0a1b2c3d", 2),
    training(f"{SEARCH}-001-1a2b3c4d", 1),
    training(f"{SEARCH}-again", -5, "Failed"),
]
SEARCHES = [
    {
        "HyperParameterTuningJobName": SEARCH,
        "HyperParameterTuningJobStatus": "Completed",
        "CreationTime": BEGAN,
    }
]


class Listed:
    """SageMaker's paginators, an entry a page."""

    def get_paginator(self, operation: str) -> Any:
        noun, entries = {
            "list_training_jobs": ("TrainingJobSummaries", TRAININGS),
            "list_hyper_parameter_tuning_jobs": ("HyperParameterTuningJobSummaries", SEARCHES),
        }[operation]

        class Pages:
            def paginate(self, PaginationConfig: dict[str, int], **_order: str) -> Iterator[Any]:  # noqa: N803
                yield from ({noun: [each]} for each in entries[: PaginationConfig["MaxItems"]])

        return Pages()


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setattr(jobs, "find_target", lambda _: None)
    monkeypatch.setattr(jobs, "jobs_of", lambda _: Jobs(Listed()))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["jobs", "list", *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_latest_job_comes_first_and_trials_are_left_out(listed: Callable[..., str]) -> None:
    rows = [json.loads(line) for line in listed("--format", "jsonl").splitlines()]

    assert [(row["job"], row["kind"], row["status"]) for row in rows] == [
        ("cats-20261129t132000", "training job", "InProgress"),
        (SEARCH, "tuning job", "Completed"),
        (f"{SEARCH}-again", "training job", "Failed"),
    ]
    assert rows[0]["created_at"] == "2026-11-29T13:20:00+00:00"


def test_list_ends_at_the_limit(listed: Callable[..., str]) -> None:
    assert len(listed("--limit", "1", "--format", "jsonl").splitlines()) == 1
