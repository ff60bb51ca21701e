"""Jobs: what is planned, what is refused before anything is sent, waiting, Ctrl-C, the end."""

from __future__ import annotations

import json
import os
import pty
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from botocore.exceptions import ClientError, EndpointConnectionError
from typer.testing import CliRunner

from imagedrop.cli import app
from imagedrop.errors import UserError
from imagedrop.estimates import jobs as costs
from imagedrop.jobs import logs as job_logs
from imagedrop.jobs import progress
from imagedrop.jobs.logs import GROUP, JobLogs
from imagedrop.jobs.options import JobOptions, pairs
from imagedrop.jobs.plan import JobStack, name_job, plan_training
from imagedrop.jobs.service import Job, Jobs, Kind
from imagedrop.jobs.tuning import tuning_of

STACK = JobStack("models", "arn:aws:iam::000000000000:role/training", "eu-west-1")
DATA = "s3://models/training/data/dogs/"
NOW = datetime(2026, 11, 25, 15, 45, 12, tzinfo=UTC)


def options(**changes: Any) -> JobOptions:
    return JobOptions(**({"data": DATA, "backbone": "efficientnet_lite0"} | changes))


def plan(**changes: Any) -> Any:
    return plan_training(options(**changes), STACK, "a" * 64, "dogs-1")


def test_job_is_planned_within_the_stacks_places() -> None:
    job = plan(settings={"lr": "0.02", "class_weights": "true"})
    assert job.channels == {"training": DATA}
    assert job.role_arn == STACK.role_arn
    assert job.source_uri == f"s3://models/training/sources/{'a' * 64}.tar.gz"
    assert job.output_uri == "s3://models/training/jobs"
    assert job.image_uri.startswith("763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch:")
    assert job.hyperparameters == {
        "backbone": "efficientnet_lite0",
        "lr": 0.02,
        "class-weights": True,
    }


def test_spot_job_waits_twice_its_runtime_and_has_checkpoints() -> None:
    job = plan(spot=True, max_runtime_seconds=600)
    assert (job.max_wait_seconds, job.spot) == (1200, True)
    assert job.checkpoint_uri == "s3://models/training/checkpoints/dogs-1/"
    assert plan(spot=True, max_runtime_seconds=600, max_wait_seconds=900).max_wait_seconds == 900


def test_weights_in_s3_are_a_channel_and_no_hyperparameter() -> None:
    job = plan(weights="s3://models/training/weights/resnet50.pth")
    assert job.channels["weights"] == "s3://models/training/weights/resnet50.pth"
    assert "weights" not in job.hyperparameters


def test_debugger_takes_its_own_image_and_place() -> None:
    job = plan(debugger=True)
    assert "pytorch-training:2.10" in job.image_uri
    assert job.debugger.s3_output == "s3://models/training/debugger/dogs-1"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"data": "photos/"}, "reads its data from S3"),
        ({"data": "s3://models/training/"}, "share an address"),
        ({"settings": {"colour": "red"}}, "no setting colour"),
        ({"settings": {"lr": "fast"}}, "cannot have"),
        ({"settings": {"epochs": "0"}}, "--epochs"),
        ({"settings": {"data": "photos"}}, "no setting data"),
        ({"subnets": ("subnet-1",)}, "subnets and security groups"),
        ({"spot": True, "max_wait_seconds": 60}, "includes the time to train"),
        ({"max_wait_seconds": 60_000}, "Only spot jobs have a time to wait"),
        ({"network_isolation": True}, "Without a network nothing can be installed"),
        (
            {"network_isolation": True, "image": "own", "backbone": "resnet50"},
            "weights cannot be downloaded",
        ),
        (
            {"network_isolation": True, "image": "own", "settings": {"backbone": "resnet50"}},
            "weights cannot be downloaded",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        plan(**changes)


def test_weights_that_come_as_a_channel_need_no_network() -> None:
    weights = "s3://models/training/weights/resnet50.pth"
    job = plan(network_isolation=True, image="own", backbone="resnet50", weights=weights)
    assert job.network_isolation


ROLE = "arn:aws:iam::000000000000:role/mine"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`imagedrop jobs …` where no cloud is running."""
    monkeypatch.setenv("IMAGEDROP_HOME", str(tmp_path))
    return lambda *arguments: CliRunner().invoke(app, ["jobs", *arguments])


@pytest.mark.parametrize("command", ["train", "tune"])
def test_dry_run_needs_no_cloud_where_the_role_is_named(
    asked: Callable[..., Any], command: str
) -> None:
    result = asked(command, "--data", DATA, "--dry-run", "--role-arn", ROLE, "--spot")
    assert result.exit_code == 0, result.output
    request = json.loads(result.stdout)
    definition = request.get("TrainingJobDefinition", request)
    assert definition["RoleArn"] == ROLE
    assert definition["OutputDataConfig"]["S3OutputPath"] == "s3://models/training/jobs"
    assert definition["StoppingCondition"]["MaxWaitTimeInSeconds"] == 8 * 3600
    assert "the bucket is the data's, models" in result.stderr


def test_dry_run_without_a_cloud_says_what_else_would_do(asked: Callable[..., Any]) -> None:
    told = asked("train", "--data", DATA, "--dry-run").exception
    assert isinstance(told, UserError)
    assert "--role-arn" in told.next_step
    for data in ("photos/", "s3://"):
        told = asked("train", "--data", data, "--dry-run", "--role-arn", ROLE).exception
        assert isinstance(told, UserError)
        assert "--data s3://" in told.next_step


def test_search_under_debugger_is_refused_with_another_way(asked: Callable[..., Any]) -> None:
    told = asked("tune", "--data", DATA, "--dry-run", "--role-arn", ROLE, "--debugger").exception
    assert isinstance(told, UserError)
    assert "Debugger cannot be used in a tuning job" in str(told)
    assert "then train once with the best and --debugger" in told.next_step


class Refusing:
    """SageMaker, which takes no job, for one reason."""

    def __init__(self, code: str) -> None:
        self._answer = {"Error": {"Code": code, "Message": "No."}}

    def create_training_job(self, **_: Any) -> None:
        raise ClientError(self._answer, "Create")  # type: ignore[arg-type]

    create_hyper_parameter_tuning_job = create_training_job


@pytest.mark.parametrize("create", [Jobs.create_training, Jobs.create_tuning])
@pytest.mark.parametrize(
    ("code", "next_step"),
    [
        ("ResourceInUse", "--job-name"),
        ("ResourceLimitExceeded", "--instance-type"),
        ("ValidationException", "--dry-run"),
        ("ResourceNotFound", "--dry-run"),
    ],
)
def test_refusal_of_sagemaker_says_what_to_do(create: Any, code: str, next_step: str) -> None:
    with pytest.raises(UserError) as told:
        create(Jobs(Refusing(code)), {})
    assert next_step in told.value.next_step


def test_refusal_of_another_kind_is_not_explained_away() -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        Jobs(Refusing("AccessDeniedException")).create_training({})


def test_names_sort_by_time_and_fit_sagemaker() -> None:
    assert name_job(None, "s3://b/training/data/my dogs_2/", NOW, 63) == "my-dogs-2-20261125t154512"
    assert len(name_job(None, f"s3://b/{'d' * 90}/", NOW, 32)) == 32
    assert name_job("mine", DATA, NOW, 32) == "mine"


def test_pairs_without_an_equals_sign_are_refused() -> None:
    assert pairs(["batch-size=16"], "--set") == {"batch_size": "16"}
    assert pairs(["cost-centre=a=b"], "--tag") == {"cost-centre": "a=b"}
    with pytest.raises(UserError, match="is not NAME=VALUE"):
        pairs(["lr"], "--set")


def test_price_of_a_machine_that_is_not_listed_is_not_invented() -> None:
    assert costs.estimate("ml.m5.xlarge", 7200, 10) == (
        "At most $4.60: 10 trainings of 2 h on ml.m5.xlarge."
    )
    assert costs.bill("ml.m5.xlarge", 360) == "360 s of ml.m5.xlarge billed: $0.0230."
    assert "$" not in costs.bill("ml.p9.huge", 360)
    assert "$" not in costs.estimate("ml.p9.huge", 360)


class FakeLogs:
    """CloudWatch Logs with one stream that grows, two places a call; None is a place without one.

    Pages in the middle of a stream may be empty: "you can get empty results while there are more
    log events available" (API reference, GetLogEvents).
    """

    def __init__(self) -> None:
        self.events: list[str | None] | None = None

    def describe_log_streams(self, **request: Any) -> Any:
        assert request == {"logGroupName": GROUP, "logStreamNamePrefix": "dogs-1/"}
        if self.events is None:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "Describe")
        return {"logStreams": [{"logStreamName": "dogs-1/algo-1"}]}

    def get_log_events(self, **request: Any) -> Any:
        assert self.events is not None
        start = int(request.get("nextToken", "0"))
        page = self.events[start : start + 2]
        return {
            "events": [{"message": each} for each in page if each is not None],
            "nextForwardToken": str(start + len(page)),
        }


def test_lines_come_once_and_from_the_first() -> None:
    service = FakeLogs()
    logs = JobLogs(service, "dogs-1")
    assert list(logs.new_lines()) == []
    service.events = ["one", "two", "three"]
    assert list(logs.new_lines()) == ["one", "two", "three"]
    service.events += ["four"]
    assert list(logs.new_lines()) == ["four"]
    assert list(logs.new_lines()) == []


def test_an_empty_page_is_not_the_end_of_the_lines() -> None:
    service = FakeLogs()
    service.events = ["one", "two", None, None, "three"]
    assert list(JobLogs(service, "dogs-1").new_lines()) == ["one", "two", "three"]


class FakeSageMaker:
    """One training job that takes one status a look, and keeps the last."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)
        self.stopped: list[str] = []

    def describe_training_job(self, **_: Any) -> Any:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {
            "TrainingJobStatus": status,
            "SecondaryStatus": status,
            "ResourceConfig": {"InstanceType": "ml.m5.xlarge"},
            "ModelArtifacts": {"S3ModelArtifacts": "s3://models/m.tar.gz"},
            "BillableTimeInSeconds": 60,
        }

    def describe_hyper_parameter_tuning_job(self, **_: Any) -> Any:
        raise AssertionError("there is a training job of this name")

    def stop_training_job(self, **request: Any) -> None:
        self.stopped.append(request["TrainingJobName"])


class FakeTarget:
    def __init__(self, sagemaker: FakeSageMaker, logs: FakeLogs) -> None:
        self._clients = {"sagemaker": sagemaker, "logs": logs}

    def client(self, service: str) -> Any:
        return self._clients[service]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_logs.time, "sleep", lambda _seconds: None)


def wait_for(sagemaker: FakeSageMaker, tmp_path: Path, logs: FakeLogs | None = None) -> None:
    target: Any = FakeTarget(sagemaker, logs or FakeLogs())
    progress.wait_for(target, "dogs-1", tmp_path)


def test_waiting_ends_with_the_job_and_says_what_it_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wait_for(FakeSageMaker("InProgress", "InProgress", "Completed"), tmp_path)
    said = capsys.readouterr().err
    assert "s3://models/m.tar.gz" in said
    assert "60 s of ml.m5.xlarge billed: $0.0038." in said


def test_each_change_and_each_line_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = FakeLogs()
    coming = iter([["epoch 1"], ["epoch 2"], [], ["last line"]])

    def more(_seconds: float) -> None:
        logs.events = (logs.events or []) + list(next(coming))

    monkeypatch.setattr(job_logs.time, "sleep", more)
    wait_for(FakeSageMaker("InProgress", "InProgress", "InProgress", "Completed"), tmp_path, logs)
    said = capsys.readouterr().err.splitlines()
    assert [line.strip() for line in said[:5]] == [
        "· InProgress: InProgress",
        "epoch 1",
        "epoch 2",
        "· Completed: Completed",
        "last line",  # CloudWatch Logs had it only after SageMaker said that the job had ended
    ]


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_job_that_did_not_complete_ends_the_command_with_1_and_has_no_model(
    status: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        wait_for(FakeSageMaker(status), tmp_path)
    assert ended.value.exit_code == 1
    assert "m.tar.gz" not in capsys.readouterr().err


def test_lost_connection_ends_the_waiting_and_says_that_the_job_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_seconds: float) -> None:
        raise EndpointConnectionError(endpoint_url="https://api.sagemaker.eu-west-1.amazonaws.com")

    monkeypatch.setattr(job_logs.time, "sleep", lost)
    with pytest.raises(UserError, match="dogs-1 cannot be watched now, but keeps running") as told:
        wait_for(FakeSageMaker("InProgress"), tmp_path)
    assert "imagedrop jobs status dogs-1 --wait" in told.value.next_step


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A terminal as standard input, and what somebody types there."""
    keyboard, screen = pty.openpty()

    def type_in(text: str) -> None:
        os.write(keyboard, text.encode())

    with os.fdopen(screen, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield type_in
    os.close(keyboard)


@pytest.mark.parametrize(
    ("answer", "stopped"), [("y\n", ["dogs-1"]), ("n\n", []), ("\n", []), ("\x04", [])]
)
def test_ctrl_c_asks_whether_the_job_is_to_stop(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    type_in: Callable[[str], None],
    answer: str,
    stopped: list[str],
) -> None:
    sagemaker = FakeSageMaker("InProgress")
    monkeypatch.setattr(job_logs.time, "sleep", _interrupt)
    type_in(answer)
    with pytest.raises(typer.Exit) as ended:
        wait_for(sagemaker, tmp_path)
    assert (ended.value.exit_code, sagemaker.stopped) == (130, stopped)


def test_ctrl_c_where_nobody_can_answer_leaves_the_job_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: Any, **__: Any) -> bool:
        raise AssertionError("an open pipe never answers")

    sagemaker = FakeSageMaker("InProgress")
    monkeypatch.setattr(job_logs.time, "sleep", _interrupt)
    monkeypatch.setattr(progress.typer, "confirm", never)
    with pytest.raises(typer.Exit):
        wait_for(sagemaker, tmp_path)
    assert sagemaker.stopped == []
    assert "imagedrop jobs stop dogs-1" in capsys.readouterr().err


def _interrupt(_seconds: float) -> None:
    raise KeyboardInterrupt


def test_job_that_nobody_knows_is_said_to_be_none() -> None:
    class Nobody:
        def describe_training_job(self, **_: Any) -> None:
            raise ClientError(
                {
                    "Error": {
                        "Code": "ValidationException",
                        "Message": "Requested resource not found.",
                    }
                },
                "Describe",
            )

        describe_hyper_parameter_tuning_job = describe_training_job

    with pytest.raises(UserError, match="no job dogs-9"):
        Jobs(Nobody()).find("dogs-9")


def test_permission_that_is_missing_is_not_taken_for_a_missing_job() -> None:
    class Refused:
        def describe_training_job(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "Describe")

        describe_hyper_parameter_tuning_job = describe_training_job

    with pytest.raises(ClientError, match="AccessDenied"):
        Jobs(Refused()).find("dogs-9")


def trials() -> Iterator[dict[str, Any]]:
    for number, (status, value) in enumerate(
        [("Completed", 0.8), ("Stopped", 0.5), ("Completed", 0.9), ("Failed", None)]
    ):
        metric = {"FinalHyperParameterTuningJobObjectiveMetric": {"Value": value}} if value else {}
        yield {
            "TrainingJobName": f"t{number}",
            "TrainingJobStatus": status,
            "TunedHyperParameters": {"lr": f"0.0{number + 1}", "batch-size": '"16"', "epochs": "3"},
            "TrainingStartTime": NOW,
            "TrainingEndTime": NOW + timedelta(seconds=10),
            **metric,
        }


def tuning_job() -> Job:
    ranges = {
        "ContinuousParameterRanges": [{"MinValue": "0.001", "MaxValue": "0.1"}],
        "IntegerParameterRanges": [{"MinValue": "2", "MaxValue": "6"}],
        "CategoricalParameterRanges": [{"Values": ["16", "32"]}],
    }
    configuration = {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"MetricName": "valid_top1"},
        "ParameterRanges": ranges,
    }
    return Job(Kind.TUNING, "s", {"HyperParameterTuningJobConfig": configuration})


def test_tuning_job_ends_in_the_same_result_as_a_local_search() -> None:
    tuning = tuning_of(tuning_job(), list(trials()))
    assert tuning.best == {"lr": 0.03, "batch_size": 16, "epochs": 3}
    assert (tuning.value, tuning.objective) == (0.9, "valid_top1")
    assert [each.status for each in tuning.trials] == ["complete", "pruned", "complete", "failed"]
    assert tuning.space == {"lr": (0.001, 0.1), "batch_sizes": (16, 32), "epochs": (2, 6)}


def test_tuning_job_without_a_completed_trial_has_no_result() -> None:
    with pytest.raises(UserError, match="No trial"):
        tuning_of(tuning_job(), [each for each in trials() if each["TrainingJobName"] == "t3"])
