"""A training job ends: its model is put forward once, people are told, nobody promotes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from handlers import propose_model
from registry.alarm_topic import AlarmTopic
from registry.model_registry import ModelRegistry
from registry.models_bucket import ModelsBucket
from registry.propose_model import ProposeModel
from registry.training_jobs import EndedJob, TrainingJobs
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
class Told:
    """A topic that keeps what it is told."""

    letters: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, subject: str, text: str) -> None:
        self.letters.append((subject, text))


@dataclass
class Jobs:
    job: EndedJob

    def find(self, name: str) -> EndedJob:
        assert name == self.job.name
        return self.job


@dataclass
class World:
    """S3 and the registry, the job, and who hears of it."""

    s3: Any
    jobs: Jobs
    people: Told
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
    job = EndedJob(NAME, arn, "Completed", f"s3://{BUCKET}/{KEY}", is_trial=False)
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        registry = ModelRegistry(boto3.client("sagemaker"))
        found = World(s3, Jobs(job), Told(), registry)
        found.put_archive(write_archive(tmp_path / "model.tar.gz"))
        use_case = ProposeModel(found.jobs, ModelsBucket(s3, BUCKET), registry, found.people, IMAGE)
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
    ((subject, text),) = world.people.letters
    assert subject == "imagedrop: dogs@7 waits for a word"
    assert "top1: 0.917" in text
    assert "imagedrop promote dogs --version 7 --target aws" in text


def test_the_same_event_again_changes_nothing_and_tells_nobody(
    world: World, call: Callable[[], None]
) -> None:
    call()
    call()
    assert world.packages() == ["dogs@7 PendingManualApproval"]
    assert len(world.people.letters) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "Failed"},
        {"is_trial": True},
        {"model_data_url": "s3://another-bucket/model.tar.gz"},
        {"model_data_url": f"s3://{BUCKET}-2/{KEY}"},
    ],
)
def test_what_is_no_model_of_this_stack_is_left_alone(
    world: World, call: Callable[[], None], changes: dict[str, Any]
) -> None:
    world.jobs.job = replace(world.jobs.job, **changes)
    call()
    assert world.packages() == []
    assert world.people.letters == []


def test_an_archive_that_must_not_be_served_is_not_registered_and_people_hear_why(
    world: World, call: Callable[[], None], tmp_path: Path
) -> None:
    world.put_archive(write_archive(tmp_path / "bad.tar.gz", more={"weights.pkl": b""}))
    call()
    assert world.packages() == []
    assert world.keys() == {KEY}
    ((subject, text),) = world.people.letters
    assert "cannot be proposed" in subject
    assert "may be a pickle" in text


def test_a_name_that_is_taken_is_told_and_not_tried_again(
    world: World, call: Callable[[], None], tmp_path: Path
) -> None:
    call()
    card_json = json.dumps(card(metrics={})).encode()
    world.put_archive(write_archive(tmp_path / "other.tar.gz", card_json))
    call()
    assert world.packages() == ["dogs@7 PendingManualApproval"]
    assert "another archive already" in world.people.letters[-1][1]


def test_a_job_is_found_with_where_its_archive_lies() -> None:
    class SageMaker:
        def describe_training_job(self, **_: str) -> dict[str, Any]:
            return {
                "TrainingJobArn": "arn",
                "TrainingJobStatus": "Completed",
                "ModelArtifacts": {"S3ModelArtifacts": "s3://b/k"},
                "TuningJobArn": "arn:tuning",
            }

    sagemaker: Any = SageMaker()
    found = TrainingJobs(sagemaker).find("a")
    assert found == EndedJob("a", "arn", "Completed", "s3://b/k", is_trial=True)


def test_a_stack_that_knows_nobody_tells_nobody() -> None:
    class SNS:
        sent: list[dict[str, str]] = []  # noqa: RUF012

        def publish(self, **message: str) -> None:
            self.sent.append(message)

    sns: Any = SNS()
    AlarmTopic(sns, "").tell("subject", "text")
    assert sns.sent == []
    AlarmTopic(sns, "arn:topic").tell("Hündchen\n" + "x" * 200, "text")
    assert sns.sent[0]["Subject"] == ("H?ndchen?" + "x" * 200)[:100]
