"""Models, endpoint configurations and endpoints as boto3 sees them."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.sagemaker.stand_in import BUCKET, IMAGE, ROLE, StandIn, client, until

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    """Code and message of the error that the call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def version_of(stand_in: StandIn, name: str) -> str:
    answer = stand_in.runtime.invoke_endpoint(EndpointName=name, Body=b"x")
    version: str = json.loads(answer["Body"].read())["version"]
    return version


def test_model_is_described_as_created_and_gone_once_deleted(shared: StandIn) -> None:
    shared.create_model("Described", Environment={"A": "b"})
    model = shared.sagemaker.describe_model(ModelName="Described")
    assert model["ModelArn"] == f"{ARN}:model/described"
    assert model["PrimaryContainer"]["Environment"] == {"A": "b"}
    assert model["ExecutionRoleArn"] == ROLE
    assert datetime.now(UTC) - model["CreationTime"] < timedelta(minutes=1)
    shared.sagemaker.delete_model(ModelName="Described")
    message = f'Could not find model "{ARN}:model/described".'
    for call in (shared.sagemaker.describe_model, shared.sagemaker.delete_model):
        assert refusal(call, ModelName="Described") == ("ValidationException", message)


def test_names_are_taken_once(shared: StandIn, endpoint: str) -> None:
    assert refusal(
        shared.sagemaker.create_endpoint, EndpointName=endpoint, EndpointConfigName=endpoint
    ) == (
        "ValidationException",
        f'Cannot create already existing endpoint "{ARN}:endpoint/{endpoint}".',
    )
    with pytest.raises(ClientError, match=r'already existing endpoint configuration "arn:'):
        shared.create_config(endpoint, endpoint)
    with pytest.raises(ClientError, match=r'already existing model "arn:'):
        shared.create_model(endpoint)


def test_what_is_referred_to_must_exist(shared: StandIn) -> None:
    with pytest.raises(ClientError, match=rf'Could not find model "{ARN}:model/nowhere"\.'):
        shared.create_config("refers", "nowhere")
    assert refusal(
        shared.sagemaker.create_endpoint, EndpointName="refers", EndpointConfigName="nowhere"
    ) == (
        "ValidationException",
        f'Could not find endpoint configuration "{ARN}:endpoint-config/nowhere".',
    )
    with pytest.raises(ClientError, match=r"Could not find model data at s3://models/absent"):
        shared.create_model("refers", "absent")
    for call in (shared.sagemaker.describe_endpoint, shared.sagemaker.delete_endpoint):
        message = f'Could not find endpoint "{ARN}:endpoint/nowhere".'
        assert refusal(call, EndpointName="nowhere") == ("ValidationException", message)


def test_service_validates_what_a_client_did_not(shared: StandIn) -> None:
    unchecked = client("sagemaker", shared.url, parameter_validation=False)
    code, message = refusal(unchecked.create_model, ExecutionRoleArn=ROLE, ModelName="under_score")
    assert code == "ValidationException"
    assert message.startswith(
        "1 validation error detected: Value 'under_score' at 'modelName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: "
    )


def test_failed_endpoint_says_why_and_can_only_be_deleted(shared: StandIn) -> None:
    shared.create_model("broken", "crashes")
    shared.create_config("broken", "broken")
    shared.sagemaker.create_endpoint(EndpointName="broken", EndpointConfigName="broken")
    described = shared.settled("broken")
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint."
    )
    with pytest.raises(ClientError, match="Endpoint broken of account 000000000000 not found"):
        version_of(shared, "broken")
    with pytest.raises(ClientError, match="Cannot update failed endpoint"):
        shared.sagemaker.update_endpoint(EndpointName="broken", EndpointConfigName="broken")
    delete_and_wait(shared, "broken")


def delete_and_wait(stand_in: StandIn, name: str) -> None:
    stand_in.sagemaker.delete_endpoint(EndpointName=name)
    stand_in.sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )


def test_archive_that_can_not_be_extracted_fails_the_endpoint(shared: StandIn) -> None:
    shared.create_model("junk", "not-an-archive")
    shared.create_config("junk", "junk")
    shared.sagemaker.create_endpoint(EndpointName="junk", EndpointConfigName="junk")
    described = shared.settled("junk")
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith("Failed to extract model data archive")


def test_update_switches_to_the_new_model_without_a_failed_call(shared: StandIn) -> None:
    shared.create_endpoint("green")
    shared.create_model("green-2", "v2")
    shared.create_config("green-2", "green-2")
    shared.sagemaker.update_endpoint(EndpointName="green", EndpointConfigName="green-2")
    assert shared.sagemaker.describe_endpoint(EndpointName="green")["EndpointStatus"] == "Updating"
    assert refusal(
        shared.sagemaker.update_endpoint, EndpointName="green", EndpointConfigName="green"
    ) == (
        "ValidationException",
        f'Cannot update in-progress endpoint "{ARN}:endpoint/green".',
    )
    seen: list[str] = []

    def switched() -> bool:
        seen.append(version_of(shared, "green"))
        return seen[-1] == "v2"

    until(switched)
    assert seen[0] == "v1"
    described = shared.settled("green")
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == "green-2"


def test_call_under_way_is_answered_by_the_old_model_after_the_switch(
    shared: StandIn, tmp_path: Path
) -> None:
    shared.create_endpoint("drains")
    shared.create_model("drains-2", "v2")
    shared.create_config("drains-2", "drains-2")

    def hold() -> str:
        runtime = client("sagemaker-runtime", shared.url)
        answer = runtime.invoke_endpoint(EndpointName="drains", Body=f"hold {tmp_path}".encode())
        return str(json.loads(answer["Body"].read())["version"])

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        until(lambda: list(tmp_path.glob("waiting-*")))
        shared.sagemaker.update_endpoint(EndpointName="drains", EndpointConfigName="drains-2")
        until(lambda: version_of(shared, "drains") == "v2")
        (tmp_path / "go").touch()
        assert held.result() == "v1"


def test_model_is_described_as_aws_does_and_its_description_cannot_be_sent_back(
    shared: StandIn,
) -> None:
    shared.create_model("described")
    described = shared.sagemaker.describe_model(ModelName="described")
    container, url = described["PrimaryContainer"], f"s3://{BUCKET}/v1/model.tar.gz"
    assert container["ModelDataUrl"] == url
    assert container["ModelDataSource"] == {
        "S3DataSource": {"S3Uri": url, "S3DataType": "S3Object", "CompressionType": "Gzip"}
    }
    assert described["EnableNetworkIsolation"] is False
    assert described["DeploymentRecommendation"]["RecommendationStatus"] == "COMPLETED"

    code, message = refusal(
        shared.sagemaker.create_model,
        ModelName="sent-back",
        ExecutionRoleArn=ROLE,
        PrimaryContainer=container,
    )
    assert code == "ValidationException"
    assert "ModelDataSource" in message


def test_image_that_is_not_in_ecr_is_refused_in_sagemakers_words(shared: StandIn) -> None:
    # A public record of a real account: CreateModel with an image of ECR Public.
    code, message = refusal(
        shared.sagemaker.create_model,
        ModelName="public",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": "public.ecr.aws/deep-learning-containers/vllm:1",
            "ModelDataUrl": f"s3://{BUCKET}/v1/model.tar.gz",
        },
    )
    assert code == "ValidationException"
    assert message.endswith("without Vpc repository access mode is not supported.")


def test_update_resets_the_number_of_instances_unless_it_retains_them(shared: StandIn) -> None:
    machines = {"InstanceType": "ml.m5.xlarge"}
    shared.create_endpoint("fleet", **machines, InitialInstanceCount=3)
    shared.create_config("fleet-1", "fleet", **machines, InitialInstanceCount=1)
    for retains, count in ((True, 3), (False, 1)):
        shared.sagemaker.update_endpoint(
            EndpointName="fleet",
            EndpointConfigName="fleet-1",
            RetainAllVariantProperties=retains,
        )
        (variant,) = shared.settled("fleet")["ProductionVariants"]
        assert variant["CurrentInstanceCount"] == count


@pytest.mark.parametrize(("timeout", "is_refused"), [(3600, True), (3601, False)])
def test_timeout_of_an_update_is_longer_than_its_waits(
    shared: StandIn, endpoint: str, timeout: int, is_refused: bool
) -> None:
    policy = {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 3000},
        "TerminationWaitInSeconds": 600,
        "MaximumExecutionTimeoutInSeconds": timeout,
    }
    _, message = refusal(
        shared.sagemaker.update_endpoint,
        EndpointName=endpoint,
        EndpointConfigName="nowhere",
        DeploymentConfig={"BlueGreenUpdatePolicy": policy},
    )
    assert ("MaximumExecutionTimeoutInSeconds" in message) is is_refused


def test_failed_update_keeps_the_old_model(shared: StandIn) -> None:
    shared.create_endpoint("blue")
    shared.create_model("blue-2", "crashes")
    shared.create_config("blue-2", "blue-2")
    shared.sagemaker.update_endpoint(EndpointName="blue", EndpointConfigName="blue-2")
    described = shared.settled("blue")
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == "blue"
    assert "did not pass the ping health check" in described["FailureReason"]
    assert version_of(shared, "blue") == "v1"


def test_endpoint_can_be_deleted_while_it_is_created(shared: StandIn) -> None:
    shared.create_model("slow", "never-healthy")
    shared.create_config("slow", "slow")
    shared.sagemaker.create_endpoint(EndpointName="slow", EndpointConfigName="slow")
    described = shared.sagemaker.describe_endpoint(EndpointName="slow")
    assert described["EndpointStatus"] == "Creating"
    assert "ProductionVariants" not in described
    delete_and_wait(shared, "slow")


def test_running_endpoint_survives_the_deletion_of_its_model_and_configuration(
    shared: StandIn,
) -> None:
    shared.create_endpoint("orphan")
    shared.sagemaker.delete_model(ModelName="orphan")
    shared.sagemaker.delete_endpoint_config(EndpointConfigName="orphan")
    assert version_of(shared, "orphan") == "v1"


def test_description_shows_what_runs(shared: StandIn, endpoint: str) -> None:
    described = shared.sagemaker.describe_endpoint(EndpointName=endpoint)
    assert described["EndpointArn"] == f"{ARN}:endpoint/{endpoint}"
    (variant,) = described["ProductionVariants"]
    assert variant["VariantName"] == "AllTraffic"
    assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 2}


def test_lists_come_in_pages_newest_first_and_filtered(shared: StandIn) -> None:
    for index in range(12):
        shared.sagemaker.create_model_package_group(ModelPackageGroupName=f"listed-{index:02}")
    first = shared.sagemaker.list_model_package_groups(NameContains="listed-")
    assert [each["ModelPackageGroupName"] for each in first["ModelPackageGroupSummaryList"]] == [
        f"listed-{index:02}" for index in range(11, 1, -1)
    ]
    pages = shared.sagemaker.get_paginator("list_model_package_groups").paginate(
        NameContains="listed-", SortBy="Name", SortOrder="Ascending"
    )
    names = [
        each["ModelPackageGroupName"]
        for page in pages
        for each in page["ModelPackageGroupSummaryList"]
    ]
    assert names == [f"listed-{index:02}" for index in range(12)]
    failed = shared.sagemaker.list_endpoints(StatusEquals="Creating", NameContains="dogs")
    assert failed["Endpoints"] == []


def test_tags_are_accepted_and_not_shown(shared: StandIn) -> None:
    shared.sagemaker.create_model(
        ModelName="tagged",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/v1/model.tar.gz"},
        Tags=[{"Key": "stack", "Value": "one"}],
    )
    assert "Tags" not in shared.sagemaker.describe_model(ModelName="tagged")
    code, _ = refusal(shared.sagemaker.list_tags, ResourceArn=f"{ARN}:model/tagged")
    assert code == "UnknownOperationException"


def test_several_production_variants_are_refused(shared: StandIn, endpoint: str) -> None:
    kind = {"InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1}
    with pytest.raises(ClientError, match="Not emulated"):
        shared.sagemaker.create_endpoint_config(
            EndpointConfigName="several",
            ProductionVariants=[
                {"VariantName": name, "ModelName": endpoint, **kind} for name in ("A", "B")
            ],
        )


def test_operations_beyond_the_stand_in_say_so(shared: StandIn) -> None:
    code, message = refusal(shared.sagemaker.list_processing_jobs)
    assert code == "UnknownOperationException"
    assert message.startswith("Not emulated by the local stand-in for SageMaker")


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ({"ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}, "1 GB increments"),
        ({"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 201}}, "equal to 200"),
        ({"InstanceType": "ml.m5.xlarge"}, "InitialInstanceCount"),
        ({"InstanceType": "ml.none.huge", "InitialInstanceCount": 1}, "enum value set"),
    ],
)
def test_variants_that_sagemaker_refuses_are_refused(
    shared: StandIn, endpoint: str, variant: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        shared.create_config("refused", endpoint, **variant)


@pytest.mark.parametrize(
    ("operation", "member"),
    [
        ("DescribeModel", "ModelName"),
        ("DescribeEndpointConfig", "EndpointConfigName"),
        ("DescribeEndpoint", "EndpointName"),
        ("ListEndpoints", None),
    ],
)
def test_answers_hold_only_what_the_api_knows(
    shared: StandIn, endpoint: str, operation: str, member: str | None
) -> None:
    request = json.dumps({member: endpoint} if member else {}).encode()
    headers = {"X-Amz-Target": f"SageMaker.{operation}"}
    connection = http.client.HTTPConnection("127.0.0.1", shared.port)
    connection.request("POST", "/", request, headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert answer
    shape = shared.sagemaker.meta.service_model.operation_model(operation).output_shape
    assert_known(shape, answer)


def assert_known(shape: Any, value: Any) -> None:
    """Every member of ``value``, at every depth, is one of ``shape``."""
    if shape.type_name == "structure":
        assert set(value) <= set(shape.members)
        for name, item in value.items():
            assert_known(shape.members[name], item)
    elif shape.type_name == "list":
        for item in value:
            assert_known(shape.member, item)
