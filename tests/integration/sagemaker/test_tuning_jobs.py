"""Tuning jobs: searches whose trials are training jobs."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.sagemaker.fake_s3 import FakeS3
from tests.integration.sagemaker.stand_in import StandIn, until
from tests.integration.sagemaker.test_training_jobs import WAIT, job_request, sources, waiting

# The best learning rate is 0.01; a trial with epochs 6 fails when it is told to.
SCORE = """
import math, os, sys
from pathlib import Path
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if given.get("--fail-at") == given["--epochs"]:
    sys.exit(1)
score = 1 - abs(math.log10(float(given["--lr"])) + 2) / 2
print(f"metrics epoch=1 train_loss=1.0 valid_top1={score:.4f} seconds=0.10")
Path(os.environ["SM_MODEL_DIR"], "model.onnx").write_text("weights")
"""


@pytest.fixture(scope="module", autouse=True)
def _stored(s3: FakeS3) -> None:
    s3.objects["train/sources/score.tar.gz"] = sources(SCORE)
    s3.objects["train/sources/wait.tar.gz"] = sources(WAIT)
    s3.objects["train/data/beagle/a.jpg"] = b"pixels"


def tuning_request(name: str, program: str = "score", **changes: Any) -> dict[str, Any]:
    training = job_request("unused", program)
    static = training.pop("HyperParameters") | changes.pop("static", {})
    del training["TrainingJobName"]
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "valid_top1"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 6, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {
                "ContinuousParameterRanges": [
                    {
                        "Name": "lr",
                        "MinValue": "0.001",
                        "MaxValue": "0.1",
                        "ScalingType": "Logarithmic",
                    }
                ],
                "IntegerParameterRanges": [{"Name": "epochs", "MinValue": "2", "MaxValue": "6"}],
                "CategoricalParameterRanges": [
                    {"Name": "batch-size", "Values": ["16", "32", "64"]}
                ],
            },
            **changes.pop("config", {}),
        },
        "TrainingJobDefinition": {**training, "StaticHyperParameters": static},
        **changes,
    }


def ended(stand_in: StandIn, name: str) -> dict[str, Any]:
    def described() -> dict[str, Any] | None:
        job: dict[str, Any] = stand_in.sagemaker.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name
        )
        return None if job["HyperParameterTuningJobStatus"] in ("InProgress", "Stopping") else job

    result: dict[str, Any] = until(described, 60)
    return result


def run(stand_in: StandIn, request: dict[str, Any]) -> dict[str, Any]:
    stand_in.sagemaker.create_hyper_parameter_tuning_job(**request)
    return ended(stand_in, request["HyperParameterTuningJobName"])


def trials(stand_in: StandIn, name: str, **how: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        stand_in.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, MaxResults=100, **how
        )["TrainingJobSummaries"]
    )
    return found


def test_search_runs_its_trials_and_names_the_best(shared: StandIn, s3: FakeS3) -> None:
    job = run(shared, tuning_request("search"))

    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] == 6
    found = trials(shared, "search")
    assert len({json.dumps(each["TunedHyperParameters"]) for each in found}) == 6
    values = [
        each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        for each in trials(shared, "search", SortBy="FinalObjectiveMetricValue")
    ]
    assert values == sorted(values, reverse=True)
    best = job["BestTrainingJob"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == values[0]
    # Each trial is a training job of its own, with a model of its own.
    training = shared.sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert training["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert training["HyperParameters"]["lr"] == best["TunedHyperParameters"]["lr"]
    assert f"train/jobs/{best['TrainingJobName']}/output/model.tar.gz" in s3.objects


def test_search_begins_from_its_parents(shared: StandIn) -> None:
    limits = {"ResourceLimits": {"MaxNumberOfTrainingJobs": 5, "MaxParallelTrainingJobs": 2}}
    run(shared, tuning_request("parent", config=limits))
    warm = {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}],
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }
    few = {"ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1}}
    seeded = few | {"RandomSeed": 5}

    run(shared, tuning_request("cold", config=seeded))
    run(shared, tuning_request("warm", config=seeded, WarmStartConfig=warm))

    cold, after = (
        [each["TunedHyperParameters"] for each in trials(shared, name, SortOrder="Ascending")]
        for name in ("cold", "warm")
    )
    assert cold[0] == after[0]  # an even trial is drawn at random, from the same seed
    assert cold[1] != after[1]  # an odd one lies near the best that is known


def test_failed_trial_does_not_end_the_search(shared: StandIn) -> None:
    job = run(
        shared,
        tuning_request(
            "some-fail",
            static={"fail-at": "3"},
            config={
                "ParameterRanges": {
                    "ContinuousParameterRanges": [
                        {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1"}
                    ],
                    "IntegerParameterRanges": [
                        {"Name": "epochs", "MinValue": "2", "MaxValue": "3"}
                    ],
                },
                "RandomSeed": 1,
            },
        ),
    )

    counters = job["TrainingJobStatusCounters"]
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert counters["Completed"] + counters["NonRetryableError"] == 6
    assert counters["Completed"]
    assert counters["NonRetryableError"]
    assert job["ObjectiveStatusCounters"]["Failed"] == counters["NonRetryableError"]


def test_search_fails_when_every_trial_does(shared: StandIn) -> None:
    job = run(
        shared,
        tuning_request(
            "all-fail",
            static={"epochs": "3", "fail-at": "3"},
            config={
                "ParameterRanges": {
                    "ContinuousParameterRanges": [
                        {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1"}
                    ]
                },
                "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
            },
        ),
    )

    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert "BestTrainingJob" not in job


def test_stopped_search_stops_its_trials(shared: StandIn, tmp_path: Path) -> None:
    shared.sagemaker.create_hyper_parameter_tuning_job(
        **tuning_request("halted", "wait", static={"folder": str(tmp_path)})
    )
    waiting(tmp_path, count=2)

    shared.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")
    job = ended(shared, "halted")

    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert [each["TrainingJobStatus"] for each in trials(shared, "halted")] == ["Stopped"] * 2


def test_search_goes_on_after_a_restart(stand_in: StandIn, tmp_path: Path) -> None:
    request = tuning_request(
        "lasting",
        "wait",
        static={"folder": str(tmp_path)},
        config={"ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1}},
    )
    stand_in.sagemaker.create_hyper_parameter_tuning_job(**request)
    waiting(tmp_path)

    stand_in.end(signal.SIGKILL)
    (tmp_path / "go").touch()
    stand_in.start()
    job = ended(stand_in, "lasting")

    # The programs print no metrics: that the search ended and began no third trial is the point.
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert [each["TrainingJobStatus"] for each in trials(stand_in, "lasting")] == ["Completed"] * 2


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"static": {"lr": "0.1"}}, "both static and searched"),
        ({"config": {"Strategy": "Grid"}}, "Not emulated.*Grid"),
        (
            {
                "config": {
                    "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "f1"}
                }
            },
            "f1 is not in the MetricDefinitions",
        ),
        (
            {
                "WarmStartConfig": {
                    "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "nobody"}],
                    "WarmStartType": "TransferLearning",
                }
            },
            "can't find a tuning job",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(
    shared: StandIn, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ClientError, match=problem):
        shared.sagemaker.create_hyper_parameter_tuning_job(**tuning_request("refused", **changes))
