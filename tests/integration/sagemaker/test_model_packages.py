"""The registry as boto3 sees it."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.sagemaker.stand_in import BUCKET, IMAGE, StandIn

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


def register(stand_in: StandIn, group: str, version: str = "v1", **more: Any) -> str:
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/{version}/model.tar.gz"}
    answer = stand_in.sagemaker.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["image/jpeg"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        **more,
    )
    arn: str = answer["ModelPackageArn"]
    return arn


def test_packages_of_a_group_are_numbered_and_listed_newest_first(shared: StandIn) -> None:
    shared.sagemaker.create_model_package_group(ModelPackageGroupName="Numbered")
    first, second = register(shared, "Numbered"), register(shared, "Numbered", "v2")
    assert (first, second) == tuple(f"{ARN}:model-package/numbered/{n}" for n in (1, 2))

    listed = shared.sagemaker.list_model_packages(ModelPackageGroupName="Numbered")

    summaries = listed["ModelPackageSummaryList"]
    assert [each["ModelPackageArn"] for each in summaries] == [second, first]
    assert {each["ModelApprovalStatus"] for each in summaries} == {"PendingManualApproval"}


def test_package_is_described_as_it_was_registered(shared: StandIn) -> None:
    shared.sagemaker.create_model_package_group(ModelPackageGroupName="described")
    arn = register(shared, "described", CustomerMetadataProperties={"top1": "0.9"})

    package = shared.sagemaker.describe_model_package(ModelPackageName=arn)

    assert package["CustomerMetadataProperties"] == {"top1": "0.9"}
    assert (package["ModelPackageStatus"], package["ModelPackageVersion"]) == ("Completed", 1)
    assert package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"].endswith("tar.gz")


def test_one_token_makes_one_package(shared: StandIn) -> None:
    shared.sagemaker.create_model_package_group(ModelPackageGroupName="token")
    arns = {register(shared, "token", ClientToken="a" * 36) for _ in range(2)}
    assert len(arns) == 1
    assert register(shared, "token", ClientToken="b" * 36) not in arns


def test_a_persons_word_outlives_a_restart(stand_in: StandIn) -> None:
    stand_in.sagemaker.create_model_package_group(ModelPackageGroupName="kept")
    arn = register(stand_in, "kept")
    stand_in.sagemaker.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="good"
    )

    stand_in.end(signal.SIGKILL)
    stand_in.start()

    package = stand_in.sagemaker.describe_model_package(ModelPackageName=arn)
    assert (package["ModelApprovalStatus"], package["ApprovalDescription"]) == ("Approved", "good")
    groups = stand_in.sagemaker.list_model_package_groups(NameContains="kep")
    (group,) = groups["ModelPackageGroupSummaryList"]
    assert group["ModelPackageGroupName"] == "kept"


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("describe_model_package_group", {"ModelPackageGroupName": "nobody"}),
        ("describe_model_package", {"ModelPackageName": f"{ARN}:model-package/nobody/1"}),
        ("list_model_packages", {"ModelPackageGroupName": "nobody"}),
    ],
)
def test_what_is_not_there_is_a_validation_exception(
    shared: StandIn, operation: str, arguments: dict[str, str]
) -> None:
    with pytest.raises(ClientError, match="does not exist") as caught:
        getattr(shared.sagemaker, operation)(**arguments)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_a_package_without_its_archive_is_refused(shared: StandIn) -> None:
    shared.sagemaker.create_model_package_group(ModelPackageGroupName="empty")
    with pytest.raises(ClientError, match="Could not find model data"):
        register(shared, "empty", "nowhere")
