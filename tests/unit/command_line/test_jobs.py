"""Jobs: their plan, refusals before anything is sent, SageMaker's refusals, results of a search."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from imagedrop.cli import app
from imagedrop.errors import UserError
from imagedrop.estimates import jobs as costs
from imagedrop.jobs.options import JobOptions, pairs
from imagedrop.jobs.plan import JobStack, name_job, plan_training
from imagedrop.jobs.service import Job, Jobs, Kind
from imagedrop.jobs.tuning import tuning_of
from training.launch.training_job import training_job_request
from training.reports.tuning import write_tuning

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


def test_a_job_encrypts_with_the_stacks_key_unless_another_is_given() -> None:
    stack = replace(STACK, kms_key_id="arn:aws:kms:eu-west-1:000000000000:key/stack")
    key = plan_training(options(), stack, "a" * 64, "dogs-1").kms_key_id
    assert key == "arn:aws:kms:eu-west-1:000000000000:key/stack"
    assert plan_training(options(kms_key="own"), stack, "a" * 64, "dogs-1").kms_key_id == "own"


@pytest.mark.parametrize(
    ("instance_type", "has_key"),
    [
        *((each, True) for each in ("ml.m5.xlarge", "ml.c5n.2xlarge", "ml.p3.2xlarge")),
        *((each, True) for each in ("ml.inf2.xlarge", "ml.m7i.large", "ml.r5.large")),
        *((each, False) for each in ("ml.g5.xlarge", "ml.g4dn.xlarge", "ml.p4de.24xlarge")),
        *((each, False) for each in ("ml.m5d.large", "ml.trn1.2xlarge", "ml.gr6.4xlarge")),
    ],
)
def test_a_disk_that_encrypts_itself_gets_no_key(instance_type: str, has_key: bool) -> None:
    stack = replace(STACK, kms_key_id="arn:aws:kms:eu-west-1:000000000000:key/stack")
    job = plan_training(options(instance_type=instance_type), stack, "a" * 64, "dogs-1")
    request = training_job_request(job)
    assert request["OutputDataConfig"]["KmsKeyId"] == stack.kms_key_id
    assert ("VolumeKmsKeyId" in request["ResourceConfig"]) is has_key


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
        ({"settings": {"lr": "fast"}}, "an invalid value"),
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


def requests_of(text: str) -> list[dict[str, Any]]:
    """JSON objects one after the other."""
    found, rest = [], text.strip()
    while rest:
        request, end = json.JSONDecoder().raw_decode(rest)
        found.append(request)
        rest = rest[end:].strip()
    return found


def test_search_begins_with_one_job_that_computes_the_features_for_all_trials(
    asked: Callable[..., Any],
) -> None:
    search = ("tune", "--data", DATA, "--dry-run", "--role-arn", ROLE, "--job-name", "dogs")
    result = asked(*search, "--trials", "3", "--set", "amp=true")
    features, tuning = requests_of(result.stdout)

    assert features["TrainingJobName"] == "dogs-features"
    assert features["HyperParameters"]["features-only"] == "true"
    assert features["HyperParameters"]["amp"] == "true"
    kept = f"{features['CheckpointConfig']['S3Uri']}features/"
    definition = tuning["TrainingJobDefinition"]
    channels = {each["ChannelName"]: each for each in definition["InputDataConfig"]}
    assert channels["features"]["DataSource"]["S3DataSource"]["S3Uri"] == kept
    assert "features-only" not in definition["StaticHyperParameters"]
    assert "4 trainings" in result.stderr
    (again,) = requests_of(asked(*search, "--features", "dogs-features").stdout)
    assert again["TrainingJobDefinition"]["InputDataConfig"] == definition["InputDataConfig"]
    assert len(requests_of(asked(*search, "--trials", "1", "--parallel", "1").stdout)) == 1


@pytest.mark.parametrize("command", ["train", "tune"])
def test_dry_run_needs_no_cloud_where_the_role_is_named(
    asked: Callable[..., Any], command: str
) -> None:
    result = asked(command, "--data", DATA, "--dry-run", "--role-arn", ROLE, "--spot")
    assert result.exit_code == 0, result.output
    request = requests_of(result.stdout)[-1]
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


def test_unknown_job_is_reported() -> None:
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
    definition = {"StaticHyperParameters": {"backbone": '"efficientnet_lite0"'}}
    return Job(
        Kind.TUNING,
        "s",
        {"HyperParameterTuningJobConfig": configuration, "TrainingJobDefinition": definition},
    )


def test_tuning_job_ends_in_the_same_result_as_a_local_search() -> None:
    tuning = tuning_of(tuning_job(), list(trials()))
    assert tuning.best == {"lr": 0.03, "batch_size": 16, "epochs": 3}
    assert (tuning.value, tuning.objective) == (0.9, "valid_top1")
    assert [each.status for each in tuning.trials] == ["complete", "pruned", "complete", "failed"]
    assert tuning.space == {"lr": (0.001, 0.1), "batch_sizes": (16, 32), "epochs": (2, 6)}
    assert tuning.backbone == "efficientnet_lite0"


def test_tuning_job_says_what_it_could_not_reach() -> None:
    notes = " ".join(tuning_of(tuning_job(), list(trials())).notes)
    assert "The default epochs, 20, is outside 2 to 6" in notes
    assert "the figure is too good" in notes


def test_training_job_of_another_backbone_than_the_search_is_refused(tmp_path: Path) -> None:
    file = write_tuning(tuning_of(tuning_job(), list(trials())), tmp_path)
    with pytest.raises(UserError, match="searched with efficientnet_lite0"):
        CliRunner().invoke(
            app,
            ["jobs", "train", "--data", "s3://b/training/data/d/", "--hyperparameters", str(file)],
            catch_exceptions=False,
        )


def test_tuning_job_without_a_completed_trial_has_no_result() -> None:
    with pytest.raises(UserError, match="No trial"):
        tuning_of(tuning_job(), [each for each in trials() if each["TrainingJobName"] == "t3"])
