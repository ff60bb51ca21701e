"""A training job ends: its model is proposed once, people are notified, none is promoted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from handlers import propose_model
from registry.model_registry import ModelRegistry
from registry.models_bucket import ModelsBucket
from registry.propose_model import Notifier, ProposeModel, TrainingJob, find_training_job
from tests.model_archives import card, write_archive
from tests.unit.handlers.test_classify import Context

BUCKET = "models-bucket"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/ray:1"
EVENT = json.loads(
    (Path(__file__).parents[3] / "events" / "training-job-completed.json").read_text()
)
NAME = EVENT["detail"]["TrainingJobName"]
KEY = f"training/jobs/{NAME}/output/model.tar.gz"


@dataclass
class FakeSNS:
    """Keeps the messages that are published."""

    messages: list[dict[str, str]] = field(default_factory=list)

    def publish(self, **message: str) -> None:
        self.messages.append(message)


@dataclass
class FakeJobs:
    """SageMaker with one training job."""

    description: dict[str, Any]

    def describe_training_job(self, **request: str) -> dict[str, Any]:
        assert request == {"TrainingJobName": NAME}
        return self.description


@dataclass
class World:
    """S3 and the registry, the job, and the messages about it."""

    s3: Any
    jobs: FakeJobs
    sns: FakeSNS
    registry: ModelRegistry

    def put_archive(self, path: Path) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=KEY, Body=path.read_bytes())

    def packages(self) -> list[str]:
        return [f"{each.identity} {each.approval}" for each in self.registry.packages()]

    def keys(self) -> set[str]:
        return {each["Key"] for each in self.s3.list_objects_v2(Bucket=BUCKET)["Contents"]}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{NAME}"
    job = {
        "TrainingJobArn": arn,
        "TrainingJobStatus": "Completed",
        "ModelArtifacts": {"S3ModelArtifacts": f"s3://{BUCKET}/{KEY}"},
    }
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        registry = ModelRegistry(boto3.client("sagemaker"))
        found = World(s3, FakeJobs(job), FakeSNS(), registry)
        found.put_archive(write_archive(tmp_path / "model.tar.gz"))
        sagemaker: Any = found.jobs
        sns: Any = found.sns
        notifier = Notifier(sns, "arn:topic")
        use_case = ProposeModel(sagemaker, ModelsBucket(s3, BUCKET), registry, notifier, IMAGE)
        monkeypatch.setattr(propose_model, "propose_model", lambda: use_case)
        yield found


@pytest.fixture
def call() -> Callable[[], None]:
    return lambda: propose_model.handler(EVENT, Context())  # type: ignore[arg-type]


def test_a_completed_jobs_model_waits_for_approval_with_its_metrics(
    world: World, call: Callable[[], None]
) -> None:
    call()
    (package,) = world.registry.packages()
    assert f"{package.identity} {package.approval}" == "dogs@7 PendingManualApproval"
    assert package.lineage["metrics.top1"] == "0.917"
    assert package.model_data_url == f"s3://{BUCKET}/models/{package.archive_sha256}/model.tar.gz"
    folder = f"models/{package.archive_sha256}"
    assert world.keys() >= {f"{folder}/model.tar.gz", f"{folder}/model.json"}


def test_people_read_how_good_it_is_and_how_to_say_yes(
    world: World, call: Callable[[], None]
) -> None:
    call()
    (message,) = world.sns.messages
    assert message["Subject"] == "imagedrop: dogs@7 is ready for approval"
    assert "top1: 0.917" in message["Message"]
    assert "imagedrop promote dogs --version 7 --target aws" in message["Message"]


def test_the_same_event_again_changes_nothing_and_sends_nothing(
    world: World, call: Callable[[], None]
) -> None:
    call()
    call()
    assert world.packages() == ["dogs@7 PendingManualApproval"]
    assert len(world.sns.messages) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"TrainingJobStatus": "Failed"},
        {"TuningJobArn": "arn:tuning"},
        {"ModelArtifacts": {}},
        {"ModelArtifacts": {"S3ModelArtifacts": "s3://another-bucket/model.tar.gz"}},
        {"ModelArtifacts": {"S3ModelArtifacts": f"s3://{BUCKET}-2/{KEY}"}},
    ],
)
def test_what_is_no_model_of_this_stack_is_left_alone(
    world: World, call: Callable[[], None], changes: dict[str, Any]
) -> None:
    world.jobs.description |= changes
    call()
    assert world.packages() == []
    assert world.sns.messages == []


def test_an_archive_that_must_not_be_served_is_not_registered_and_people_hear_why(
    world: World, call: Callable[[], None], tmp_path: Path
) -> None:
    world.put_archive(write_archive(tmp_path / "bad.tar.gz", more={"weights.pkl": b""}))
    call()
    assert world.packages() == []
    assert world.keys() == {KEY}
    (message,) = world.sns.messages
    assert "cannot be proposed" in message["Subject"]
    assert "may be a pickle" in message["Message"]


def test_a_name_that_is_taken_is_reported_and_not_retried(
    world: World, call: Callable[[], None], tmp_path: Path
) -> None:
    call()
    card_json = json.dumps(card(metrics={})).encode()
    world.put_archive(write_archive(tmp_path / "other.tar.gz", card_json))
    call()
    assert world.packages() == ["dogs@7 PendingManualApproval"]
    assert "already the name of another archive" in world.sns.messages[-1]["Message"]


def test_a_job_is_found_with_the_address_of_its_archive() -> None:
    sagemaker: Any = FakeJobs(
        {
            "TrainingJobArn": "arn",
            "TrainingJobStatus": "Completed",
            "ModelArtifacts": {"S3ModelArtifacts": "s3://b/k"},
            "TuningJobArn": "arn:tuning",
        }
    )
    job = find_training_job(sagemaker, NAME)
    assert job == TrainingJob(NAME, "arn", "Completed", "s3://b/k", is_trial=True)


def test_a_stack_without_a_topic_sends_nothing() -> None:
    sns: Any = FakeSNS()
    Notifier(sns, "").send("subject", "text")
    assert sns.messages == []
    Notifier(sns, "arn:topic").send("Hündchen\n" + "x" * 200, "text")
    assert sns.messages[0]["Subject"] == ("H?ndchen?" + "x" * 200)[:100]
