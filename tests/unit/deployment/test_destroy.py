"""Destroying deletes what it names, keeps data unless asked, and ends with 0 if all is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from imagedrop import samconfig
from imagedrop.cli import app
from imagedrop.commands import destroy as destroy_command
from imagedrop.deployment import removal, stacks
from imagedrop.deployment.inventory import KEY_DESCRIPTION
from imagedrop.errors import UserError
from tests.unit.deployment.conftest import SAMCONFIG, Pages, event, refusal
from tools.template import load, properties

REGION = "us-east-1"
IMAGES, MODELS = "imagedrop-images-0123456789ab", "imagedrop-modelsbucket-abcdefghijkl"
TABLE = "imagedrop-PredictionsTable-ABCDEFGHIJKL"
ROLE = "arn:aws:iam::123456789012:role/imagedrop-EndpointRole-ABCDEFGHIJKL"
PROMOTED = "imagedrop-promoted-0123456789ab"


@dataclass
class CloudFormation:
    """One stack; `statuses` are those that a deletion goes through."""

    exists: bool = True
    status: str = "CREATE_COMPLETE"
    statuses: list[str] = field(default_factory=lambda: ["DELETE_IN_PROGRESS", "DELETE_COMPLETE"])
    is_deleted: bool = False
    key: str = ""
    events: list[dict[str, str]] = field(default_factory=list)

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        if not self.exists or (self.is_deleted and StackName != "id"):
            raise refusal("ValidationError")
        status = self.status
        if self.is_deleted:
            status = self.statuses[0] if len(self.statuses) == 1 else self.statuses.pop(0)
        return {"Stacks": [{"StackStatus": status, "StackId": "id"}]}

    def delete_stack(self, StackName: str) -> None:  # noqa: N803
        self.is_deleted = True

    def get_paginator(self, operation: str) -> Pages:
        if operation == "describe_stack_events":
            return Pages({"StackEvents": self.events})
        found = {
            "ImagesBucket": ("AWS::S3::Bucket", IMAGES),
            "ModelsBucket": ("AWS::S3::Bucket", MODELS),
            "PredictionsTable": ("AWS::DynamoDB::Table", TABLE),
            "DataKey": ("AWS::KMS::Key", self.key),
            "EndpointRole": ("AWS::IAM::Role", ROLE.rpartition("/")[2]),
        }
        rows = [
            {
                "LogicalResourceId": name,
                "ResourceType": type_,
                "PhysicalResourceId": physical,
                "ResourceStatus": "CREATE_COMPLETE",
            }
            for name, (type_, physical) in found.items()
        ]
        return Pages({"StackResourceSummaries": rows})


class Sts:
    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": "123456789012"}


@dataclass
class World:
    """A deployed stack in moto, with data; and things of others that must stay."""

    cloudformation: CloudFormation
    region_name: str = REGION

    def client(self, service: str) -> Any:
        own = {"cloudformation": self.cloudformation, "sts": Sts()}
        return own.get(service) or boto3.client(service, REGION)  # type: ignore[call-overload]

    def destroy(self, *words: str, input: str | None = None) -> Result:
        return CliRunner().invoke(app, ["destroy", *words], input=input)

    def buckets(self) -> set[str]:
        return {each["Name"] for each in self.client("s3").list_buckets()["Buckets"]}

    def tables(self) -> list[str]:
        return list(self.client("dynamodb").list_tables()["TableNames"])

    def key_states(self) -> set[str]:
        kms = self.client("kms")
        keys = [each["KeyId"] for each in kms.list_keys()["Keys"]]
        return {kms.describe_key(KeyId=each)["KeyMetadata"]["KeyState"] for each in keys}

    def promoted(self) -> list[str]:
        sagemaker = self.client("sagemaker")
        models = [each["ModelName"] for each in sagemaker.list_models()["Models"]]
        configs = sagemaker.list_endpoint_configs()["EndpointConfigs"]
        return models + [each["EndpointConfigName"] for each in configs]


def fill(world: World) -> None:
    s3 = world.client("s3")
    for name in (IMAGES, MODELS, "somebody-elses"):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=IMAGES, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(3):
        s3.put_object(Bucket=IMAGES, Key="incoming/dog.jpg", Body=b"x")
    s3.delete_object(Bucket=IMAGES, Key="incoming/dog.jpg")
    s3.create_multipart_upload(Bucket=MODELS, Key="training/data/big")
    s3.put_object(Bucket=MODELS, Key="models/m.tar.gz", Body=b"x")
    for table in (TABLE, "others"):
        world.client("dynamodb").create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "image", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "image", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            DeletionProtectionEnabled=True,
        )
    key = world.client("kms").create_key(Description=KEY_DESCRIPTION.format(stack="imagedrop"))
    world.cloudformation.key = key["KeyMetadata"]["KeyId"]
    sagemaker = world.client("sagemaker")
    for name, role in (
        (PROMOTED, ROLE),
        ("imagedrop-promoted-ffff", ROLE.replace("drop-E", "s-E")),
    ):
        sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=role, PrimaryContainer={"Image": "i"}
        )
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InstanceType": "ml.m5.xlarge",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1,
        }
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    for stack in ("imagedrop", "imagedrop-shadow-other"):
        sagemaker.create_endpoint(
            EndpointName=f"{stack}-shadow-0123456789ab", EndpointConfigName=PROMOTED
        )


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    file = tmp_path / "samconfig.toml"
    file.write_text(SAMCONFIG)
    monkeypatch.setattr(samconfig, "SAMCONFIG", file)
    monkeypatch.setattr(stacks, "POLL_SECONDS", 0)
    with mock_aws():
        made = World(CloudFormation())
        fill(made)
        monkeypatch.setattr(destroy_command, "aws_session", lambda _chosen: made)
        yield made


def test_data_stay_and_are_listed_with_cost_and_command(world: World) -> None:
    told = world.destroy("--yes")
    assert told.exit_code == 0, told.stderr
    assert world.cloudformation.is_deleted
    assert {IMAGES, MODELS} <= world.buckets()
    assert TABLE in world.tables()
    assert world.key_states() == {"Enabled"}
    assert f"KMS key {world.cloudformation.key}: $1.00" in told.stderr
    assert f"aws kms schedule-key-deletion --key-id {world.cloudformation.key}" in told.stderr
    assert f"aws s3 rb s3://{MODELS} --force" in told.stderr
    assert "--no-deletion-protection-enabled" in told.stderr


def test_with_data_every_version_the_table_and_the_key_go_and_nothing_else(world: World) -> None:
    told = world.destroy("--data", "--yes")
    assert told.exit_code == 0, told.stderr
    assert world.buckets() == {"somebody-elses"}
    assert world.tables() == ["others"]
    assert world.key_states() == {"PendingDeletion"}


def test_models_and_configurations_of_promotions_go_and_those_of_other_stacks_stay(
    world: World,
) -> None:
    world.destroy("--yes")
    assert world.promoted() == ["imagedrop-promoted-ffff"] * 2


def test_a_candidates_endpoint_goes_and_that_of_another_stack_stays(world: World) -> None:
    told = world.destroy("--yes")
    assert "candidate's endpoint: imagedrop-shadow-0123456789ab" in told.stderr
    left = world.client("sagemaker").list_endpoints()["Endpoints"]
    assert [each["EndpointName"] for each in left] == ["imagedrop-shadow-other-shadow-0123456789ab"]


def test_leftovers_of_a_stack_that_is_gone_are_found_by_name(world: World) -> None:
    world.cloudformation.exists = False
    told = world.destroy("--data", "--yes")
    assert told.exit_code == 0, told.stderr
    assert "these are leftovers of former ones" in told.stderr
    assert (world.buckets(), world.tables()) == ({"somebody-elses"}, ["others"])


def test_the_wrong_name_deletes_nothing(world: World) -> None:
    refused = world.destroy("--data", input="imagedrops\n")
    assert isinstance(refused.exception, UserError)
    assert not world.cloudformation.is_deleted
    assert world.destroy("--data", input="imagedrop\n").exit_code == 0


def test_a_stack_that_cannot_be_deleted_keeps_its_data_and_says_why(world: World) -> None:
    world.cloudformation.statuses = ["DELETE_FAILED"]
    world.cloudformation.events = [event("ServingRepository", "DELETE_FAILED", "not empty")]
    told = world.destroy("--data", "--yes")
    assert told.exit_code == 1
    assert "ServingRepository: not empty" in told.stderr
    assert IMAGES in world.buckets()


def test_what_is_refused_is_named_the_key_stays_and_the_exit_code_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_removal: Any, _table: str) -> None:
        raise refusal("AccessDeniedException", "no dynamodb:DeleteTable")

    monkeypatch.setattr(removal.Removal, "_remove_table", refuse)
    told = world.destroy("--data", "--yes")
    assert told.exit_code == 1
    assert "no dynamodb:DeleteTable" in told.stderr
    assert "kept for what could not be removed" in told.stderr
    assert world.buckets() == {"somebody-elses"}
    assert world.key_states() == {"Enabled"}


def test_after_ctrl_c_the_same_command_finishes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_removal: Any, _table: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(removal.Removal, "_remove_table", interrupt)
        assert world.destroy("--data", "--yes").exit_code == 130
    assert world.destroy("--data", "--yes").exit_code == 0
    assert (world.buckets(), world.tables()) == ({"somebody-elses"}, ["others"])


def test_with_nothing_there_it_says_so(world: World) -> None:
    told = world.destroy("--stack-name", "other", "--yes", "--data")
    world.cloudformation.exists = False
    told = world.destroy("--stack-name", "other", "--yes", "--data")
    assert told.exit_code == 0
    assert "there are no leftovers of one" in told.stderr


def test_the_key_is_recognised_by_the_templates_description() -> None:
    description = properties(load(), "DataKey")["Description"]["Fn::Sub"]
    assert description == KEY_DESCRIPTION.format(stack="${AWS::StackName}")
