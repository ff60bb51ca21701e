"""The stand-in lists jobs as SageMaker does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from localcloud.sagemaker.state import Identity, State
from localcloud.sagemaker.training_jobs import TrainingJobs
from localcloud.sagemaker.tuning_jobs import TuningJobs


def record(noun: str, name: str, moment: float, status: str = "Completed") -> dict[str, Any]:
    return {
        f"{noun}Name": name,
        f"{noun}Arn": f"arn:{name}",
        f"{noun}Status": status,
        "CreationTime": moment,
    }


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path, Identity())
    statuses = {"first": "Completed", "second": "Failed", "third": "Completed"}
    for place, (name, status) in enumerate(statuses.items()):
        state.training_jobs[name] = record("TrainingJob", name, place, status)
    search = record("HyperParameterTuningJob", "search", 0.0)
    state.tuning_jobs["search"] = search | {"HyperParameterTuningJobConfig": {"Strategy": "Random"}}
    return state


def test_trainings_come_in_pages_the_latest_first(state: State) -> None:
    nothing: Any = None
    trainings = TrainingJobs(state, nothing, nothing, nothing, nothing)

    page = asyncio.run(trainings.list_jobs({"MaxResults": 2}))
    rest = asyncio.run(trainings.list_jobs({"MaxResults": 2, "NextToken": page["NextToken"]}))

    names = [each["TrainingJobName"] for each in page["TrainingJobSummaries"]]
    assert names == ["third", "second"]
    assert [each["TrainingJobName"] for each in rest["TrainingJobSummaries"]] == ["first"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [("third", "Completed"), ("second", "Failed"), ("first", "Completed")]),
        ({"StatusEquals": "Completed"}, [("third", "Completed"), ("first", "Completed")]),
        ({"NameContains": "ir"}, [("third", "Completed"), ("first", "Completed")]),
        ({"NameContains": "ir", "StatusEquals": "Failed"}, []),
    ],
)
def test_trainings_are_listed_with_their_status_and_by_name_and_status(
    state: State, wanted: dict[str, str], found: list[tuple[str, str]]
) -> None:
    nothing: Any = None
    trainings = TrainingJobs(state, nothing, nothing, nothing, nothing)

    page = asyncio.run(trainings.list_jobs(wanted))["TrainingJobSummaries"]

    assert [(each["TrainingJobName"], each["TrainingJobStatus"]) for each in page] == found


def test_searches_are_listed_with_the_counts_of_their_trials(state: State) -> None:
    nothing: Any = None
    tunings = TuningJobs(state, TrainingJobs(state, nothing, nothing, nothing, nothing))

    (found,) = asyncio.run(tunings.list_jobs({}))["HyperParameterTuningJobSummaries"]

    assert (found["HyperParameterTuningJobName"], found["Strategy"]) == ("search", "Random")
    assert found["TrainingJobStatusCounters"]["Completed"] == 0
