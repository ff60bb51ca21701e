"""Each check of a deployed stack passes when all is well, and each kind of fault is reported
once."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import httpx
import pytest
from moto import mock_aws

from imagedrop.doctor import account, canary
from imagedrop.doctor.account import check_account
from imagedrop.doctor.checks import Check
from imagedrop.samconfig import SavedDeployment
from imagedrop.uploads import Sent, Upload, upload_all
from pipeline import records
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.answers import Answer, Prediction
from pipeline.events import Change, ImageRef
from tests.model_archives import card
from tests.unit.deployment.conftest import Pages, event, refusal

REGION = "us-east-1"
URL = "https://api.example.org"
_LAST = ["endpoint", "api", "alarms", "canary"]
WELL = ["credentials", "stack", "permissions", *["quota"] * 5, *_LAST]


@dataclass(frozen=True, slots=True)
class Photo:
    format: str = "JPEG"
    width: int = 16
    height: int = 16


@dataclass
class Aws:
    """The services that moto does not answer as needed; a test changes what they answer."""

    parameters: dict[str, str] = field(
        default_factory=lambda: {
            "ClassifyConcurrency": "5",
            "EndpointCapacity": "2048",
            "JwtIssuerAndAudience": "",
        }
    )
    outputs: dict[str, str] = field(default_factory=dict)
    stack_status: str = "CREATE_COMPLETE"
    events: list[dict[str, str]] = field(default_factory=list)
    endpoint_status: str = "InService"
    answering: str = "dogs@7"
    executions: int = 1000
    ringing: list[str] = field(default_factory=list)
    refused: str = ""
    is_signed_in: bool = True

    def get_caller_identity(self) -> dict[str, str]:
        if not self.is_signed_in:
            raise refusal("ExpiredToken")
        return {"Account": "123456789012"}

    def get_account_settings(self) -> dict[str, Any]:
        return {"AccountLimit": {"ConcurrentExecutions": self.executions}}

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        if self.stack_status == "":
            raise refusal("ValidationError")
        given = self.parameters.items()
        return {
            "Stacks": [
                {
                    "StackStatus": self.stack_status,
                    "Outputs": [
                        {"OutputKey": name, "OutputValue": value}
                        for name, value in self.outputs.items()
                    ],
                    "Parameters": [
                        {"ParameterKey": name, "ParameterValue": value} for name, value in given
                    ],
                }
            ]
        }

    def get_paginator(self, operation: str) -> Pages:
        return Pages(
            {
                "list_stack_resources": {"StackResourceSummaries": []},
                "describe_stack_events": {"StackEvents": self.events},
                "describe_alarms": {"MetricAlarms": [{"AlarmName": each} for each in self.ringing]},
                "list_service_quotas": {"Quotas": []},
                "list_aws_default_service_quotas": {"Quotas": []},
            }[operation]
        )

    def describe_endpoint(self, EndpointName: str) -> dict[str, str]:  # noqa: N803
        return {
            "EndpointStatus": self.endpoint_status,
            "EndpointConfigName": "config",
            "FailureReason": "did not pass the ping health check",
        }

    def describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:  # noqa: N803
        variant = {"ModelName": "model", "ServerlessConfig": {}}
        return {"EndpointConfigName": "config", "ProductionVariants": [variant]}

    def describe_model(self, ModelName: str) -> dict[str, Any]:  # noqa: N803
        return {"PrimaryContainer": {"Image": "i", "ModelDataUrl": "s3://models/m/model.tar.gz"}}

    def list_model_package_groups(self, MaxResults: int) -> dict[str, Any]:  # noqa: N803
        if self.refused:
            raise refusal(self.refused)
        return {}

    def list_executions(self, **_: Any) -> dict[str, Any]:
        return {}

    def invoke_endpoint(self, **_: Any) -> dict[str, Any]:
        answer = {
            "model": self.answering,
            "label": "pug",
            "confidence": 0.9,
            "predictions": [{"label": "pug", "confidence": 0.9}],
        }
        return {"Body": io.BytesIO(json.dumps([answer]).encode())}


OWN = ("s3", "dynamodb", "sqs")


@dataclass
class Session:
    aws: Aws
    region_name: str = REGION

    def client(self, service: str, **_: Any) -> Any:
        return boto3.client(service, REGION) if service in OWN else self.aws  # type: ignore[call-overload]

    def get_credentials(self) -> Any:
        return boto3.Session().get_credentials()


@dataclass
class World:
    aws: Aws
    session: Session
    status_code: int = 200
    requests: list[httpx.Request] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self.status_code)

    def check(self, *, send: bool = False) -> list[Check]:
        http = httpx.Client(transport=httpx.MockTransport(self.answer))
        saved = SavedDeployment("imagedrop", REGION)
        session: Any = self.session
        return list(check_account(session, saved, canary=send, http=http))

    def trouble(self, *, send: bool = False) -> dict[str, Check]:
        return {each.name: each for each in self.check(send=send) if not each.ok}


def pipeline(label: str) -> Callable[..., Iterator[Sent]]:
    """An uploader that also writes the row, as the function would."""

    def send(s3: Any, bucket: str, uploads: Iterable[Upload]) -> Iterator[Sent]:
        table = PredictionsTable(boto3.client("dynamodb", REGION), "predictions")
        for sent in upload_all(s3, bucket, uploads):
            ref = ImageRef(
                bucket,
                sent.upload.key,
                str(sent.version),
                True,
                "0A".ljust(40, "0"),
                1,
                "2026-11-25T08:00:00.000Z",
                Change.CREATED,
            )
            answer = Answer(label, 0.9, (Prediction(label, 0.9),), "dogs@1")
            table.write(records.classified(ref, Photo(), answer, "2026-11-25T08:00:00.000Z"), ref)
            yield sent

    return send


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with mock_aws():
        s3, sqs = boto3.client("s3", REGION), boto3.client("sqs", REGION)
        for name in ("images", "models", "work"):
            s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket="images", VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket="models", Key="m/model.json", Body=json.dumps(card()).encode())
        boto3.client("dynamodb", REGION).create_table(
            TableName="predictions",
            KeySchema=[{"AttributeName": "image", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "image", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        outputs = {
            "ImagesBucketName": "images",
            "ModelsBucketName": "models",
            "WorkBucketName": "work",
            "PredictionsTableName": "predictions",
            "ImagesQueueUrl": sqs.create_queue(QueueName="images")["QueueUrl"],
            "DeadLetterQueueUrl": sqs.create_queue(QueueName="dead")["QueueUrl"],
            "BulkStateMachineArn": "arn",
            "EndpointName": "endpoint",
            "ApiUrl": URL,
        }
        aws = Aws(outputs=outputs)
        monkeypatch.setattr(canary, "upload_all", pipeline("pug"))
        monkeypatch.setattr(account, "send_canary", lambda target: canary.send_canary(target, 0.5))
        yield World(aws, Session(aws))


def test_a_stack_that_is_well_is_ok_in_every_line(world: World) -> None:
    found = world.check(send=True)
    assert [each.name for each in found] == WELL
    assert all(each.ok for each in found), found
    assert world.requests[0].headers["authorization"].startswith("AWS4-HMAC-SHA256")


def test_the_canary_is_forgotten_and_nothing_else_is(world: World) -> None:
    world.session.client("s3").put_object(Bucket="images", Key="incoming/mine.jpg", Body=b"x")
    world.check(send=True)
    left = world.session.client("s3").list_object_versions(Bucket="images")["Versions"]
    assert [each["Key"] for each in left] == ["incoming/mine.jpg"]


def test_an_image_without_a_row_is_trouble_and_is_forgotten_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "upload_all", upload_all)
    trouble = world.trouble(send=True)
    assert list(trouble) == ["canary"]
    assert "no row" in trouble["canary"].finding
    assert "Versions" not in world.session.client("s3").list_object_versions(Bucket="images")


def test_no_photo_is_sent_when_none_is_wanted(world: World) -> None:
    assert "canary" not in [each.name for each in world.check()]


def test_bad_credentials_end_the_checks(world: World) -> None:
    world.aws.is_signed_in = False
    (only,) = world.check()
    assert (only.name, only.ok) == ("credentials", False)
    assert "sign in" in only.next_step.lower()


@pytest.mark.parametrize("status", ["", "ROLLBACK_COMPLETE"])
def test_a_stack_that_is_not_deployed_ends_the_checks(world: World, status: str) -> None:
    world.aws.stack_status = status
    world.aws.events = [event("Endpoint", "CREATE_FAILED", "not authorized to perform: x:Y")]
    found = world.check()
    assert [each.ok for each in found] == [True, False]
    if status:
        assert "Endpoint: not authorized to perform: x:Y" in found[-1].finding
        assert "first-deployment" in found[-1].next_step


def test_a_refused_read_names_the_permission(world: World) -> None:
    world.aws.refused = "AccessDeniedException"
    trouble = world.trouble()
    assert list(trouble) == ["permissions"]
    assert "sagemaker:ListModelPackageGroups" in trouble["permissions"].finding


def test_a_quota_that_is_too_small_is_trouble_and_one_that_cannot_be_asked_is_said(
    world: World,
) -> None:
    world.aws.executions = 9
    quotas = [each for each in world.check() if each.name == "quota"]
    assert [each.ok for each in quotas] == [False, True, True, True, True]
    assert "needs 10, the account has 9" in quotas[0].finding
    assert "no way to ask" in quotas[2].finding


def test_an_older_stack_without_todays_parameters_is_to_be_deployed(world: World) -> None:
    del world.aws.parameters["EndpointCapacity"]
    assert "EndpointCapacity" in world.trouble()["quotas"].finding


def test_an_endpoint_that_is_not_in_service_says_why(world: World) -> None:
    world.aws.endpoint_status = "Failed"
    trouble = world.trouble()
    assert list(trouble) == ["endpoint"]
    assert "ping health check" in trouble["endpoint"].finding


def test_an_endpoint_with_another_model_than_its_card_says_is_trouble(world: World) -> None:
    world.aws.answering = "cats@1"
    assert "cats@1 answered" in world.trouble()["endpoint"].finding


@pytest.mark.parametrize(("status", "remedy"), [(403, "execute-api:Invoke"), (500, "log groups")])
def test_an_api_that_refuses_or_fails_is_trouble(world: World, status: int, remedy: str) -> None:
    world.status_code = status
    trouble = world.trouble()
    assert list(trouble) == ["api"]
    assert remedy in trouble["api"].next_step


def test_an_api_with_tokens_must_refuse_a_request_without_one(world: World) -> None:
    world.aws.parameters["JwtIssuerAndAudience"] = "https://issuer.example.org,api"
    assert list(world.trouble()) == ["api"]
    world.status_code = 401
    assert world.trouble() == {}
    assert "authorization" not in world.requests[-1].headers


def test_an_api_that_cannot_be_reached_is_trouble(world: World) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    world = replace(world)
    world.answer = fail  # type: ignore[method-assign]
    assert "no route" in world.trouble()["api"].finding


def test_alarms_that_are_on_are_named(world: World) -> None:
    world.aws.ringing = ["imagedrop-DeadLettersAlarm-1"]
    trouble = world.trouble()
    assert list(trouble) == ["alarms"]
    assert "imagedrop-DeadLettersAlarm-1" in trouble["alarms"].finding
