"""The request that registers an archive, and what the registry answers afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.validate import validate_parameters
from moto import mock_aws

from archive.card import ModelCard
from archive.reading import ModelArchive, check_archive
from registry.model_registry import (
    MAX_METADATA,
    MAX_METADATA_CHARACTERS,
    Approval,
    ModelRegistry,
    RegistrationError,
    lineage,
    package_request,
)
from registry.models_bucket import StoredModel
from tests.model_archives import card, write_archive

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/ray:1"
STORED = StoredModel("s3://models/models/ab/model.tar.gz", "s3://models/models/ab/model.json")
JOB = "arn:aws:sagemaker:us-east-1:000000000000:training-job/dogs-1"


@pytest.fixture
def archive(tmp_path: Path) -> ModelArchive:
    return check_archive(write_archive(tmp_path / "model.tar.gz"))


@pytest.fixture
def registry() -> Iterator[ModelRegistry]:
    with mock_aws():
        yield ModelRegistry(boto3.client("sagemaker"))


def with_card(archive: ModelArchive, **fields: Any) -> ModelArchive:
    return dataclasses.replace(archive, card=ModelCard.from_json(card(**fields)))


def test_the_request_is_one_that_sagemaker_takes(archive: ModelArchive) -> None:
    service = botocore.session.get_session().get_service_model("sagemaker")
    shape = service.operation_model("CreateModelPackage").input_shape
    validate_parameters(package_request(archive, STORED, IMAGE, JOB), shape)


def test_a_package_says_what_serves_it_and_where_it_comes_from(archive: ModelArchive) -> None:
    request = package_request(archive, STORED, IMAGE, JOB)
    assert request["ModelPackageGroupName"] == "dogs"
    assert request["ModelApprovalStatus"] == "PendingManualApproval"
    (container,) = request["InferenceSpecification"]["Containers"]
    assert container == {"Image": IMAGE, "ModelDataUrl": STORED.model_data_url}
    assert request["MetadataProperties"] == {"CommitId": "c" * 40, "GeneratedBy": JOB}
    assert request["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"] == STORED.model_card_url
    assert request["CustomerMetadataProperties"] == {
        "version": "7",
        "archive_sha256": archive.sha256.hex(),
        "weights_sha256": card()["weights_sha256"],
        "labels": "2",
        "data_manifest_sha256": "d" * 64,
        "code_revision": "c" * 40,
        "metrics.top1": "0.917",
        "metrics.measured_on": "32 validation images",
        "hyperparameters.lr": "0.01",
        "hyperparameters.class_weights": "true",
        "training.architecture": "resnet50",
    }


def test_lineage_keeps_to_the_limits_of_the_registry(archive: ModelArchive) -> None:
    run = {f"field {number} (ü)": "long, " * 100 for number in range(100)}
    texts = lineage(with_card(archive, training_run=run))
    assert len(texts) == MAX_METADATA
    assert "training.field 0 _ü_" in texts
    assert all(len(text) <= MAX_METADATA_CHARACTERS for text in texts.values())
    assert "," not in "".join(texts.values())


def test_the_same_archive_is_registered_once(
    registry: ModelRegistry, archive: ModelArchive
) -> None:
    first, is_new = registry.register(archive, STORED, IMAGE)
    assert is_new
    assert (first.identity, first.approval) == ("dogs@7", Approval.PENDING)
    assert first.model_data_url == STORED.model_data_url
    second, is_new = registry.register(archive, STORED, IMAGE)
    assert not is_new
    assert second == first
    assert [each.arn for each in registry.packages()] == [first.arn]


def test_another_archive_cannot_take_the_name_of_one(
    registry: ModelRegistry, archive: ModelArchive
) -> None:
    registry.register(archive, STORED, IMAGE)
    other = dataclasses.replace(archive, sha256=bytes(32))
    with pytest.raises(RegistrationError, match="dogs@7 is already the name of another archive"):
        registry.register(other, STORED, IMAGE)


def test_versions_are_listed_the_newest_first_and_other_projects_groups_are_not(
    registry: ModelRegistry, archive: ModelArchive
) -> None:
    client: Any = boto3.client("sagemaker")
    client.create_model_package_group(
        ModelPackageGroupName="churn", ModelPackageGroupDescription="of another project"
    )
    for version in ("7", "8"):
        each = dataclasses.replace(
            with_card(archive, version=version), sha256=bytes([int(version)]) * 32
        )
        registry.register(each, STORED, IMAGE)
    assert {each.version for each in registry.packages()} == {"7", "8"}
    assert list(registry.packages_of("cats")) == []


def test_what_a_person_decides_is_kept(registry: ModelRegistry, archive: ModelArchive) -> None:
    package, _ = registry.register(archive, STORED, IMAGE)
    registry.decide(package, Approval.APPROVED, "promoted")
    client: Any = boto3.client("sagemaker")
    found = client.describe_model_package(ModelPackageName=package.arn)
    assert found["ModelApprovalStatus"] == "Approved"
    assert found["ApprovalDescription"] == "promoted"


@pytest.mark.parametrize(
    "fields",
    [{"name": "dog breeds"}, {"name": "d" * 64}, {"version": "7 (old)"}, {"version": "7" * 300}],
)
def test_names_that_the_registry_cannot_hold_are_refused(
    registry: ModelRegistry, archive: ModelArchive, fields: dict[str, str]
) -> None:
    with pytest.raises(RegistrationError, match="may have at most"):
        registry.register(with_card(archive, **fields), STORED, IMAGE)
