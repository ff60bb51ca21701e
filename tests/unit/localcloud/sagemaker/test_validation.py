"""Requests are refused with the messages that SageMaker writes."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.sagemaker.errors import ServiceError
from localcloud.sagemaker.validation import RequestValidator, load_service_model

ROLE = "arn:aws:iam::000000000000:role/sagemaker"


@pytest.fixture(scope="module")
def validator() -> RequestValidator:
    return RequestValidator(load_service_model())


def refusal(validator: RequestValidator, operation: str, request: dict[str, Any]) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        validator.check(operation, request)
    return caught.value


def test_good_request_passes(validator: RequestValidator) -> None:
    validator.check(
        "CreateModel",
        {
            "ModelName": "dogs-1",
            "ExecutionRoleArn": ROLE,
            "PrimaryContainer": {"ModelDataUrl": "s3://a/b", "Environment": {"A": "b"}},
            "Tags": [{"Key": "aws:cloudformation:stack-name", "Value": "imagedrop"}],
        },
    )


def test_missing_member_is_named(validator: RequestValidator) -> None:
    error = refusal(validator, "CreateEndpoint", {"EndpointName": "dogs"})
    assert error.code == "ValidationException"
    assert error.message == (
        "1 validation error detected: Value null at 'endpointConfigName' failed to satisfy "
        "constraint: Member must not be null"
    )


def test_missing_member_of_a_list_item_is_named_by_its_path(validator: RequestValidator) -> None:
    request = {"EndpointConfigName": "dogs", "ProductionVariants": [{"ModelName": "dogs"}]}
    message = refusal(validator, "CreateEndpointConfig", request).message
    assert "Value null at 'productionVariants.1.member.variantName'" in message


def test_unknown_member_is_refused(validator: RequestValidator) -> None:
    request = {"EndpointName": "dogs", "EndpointConfigName": "dogs", "DebugHookConfig": {}}
    message = refusal(validator, "CreateEndpoint", request).message
    assert message.startswith('Unknown parameter in input: "DebugHookConfig", must be one of:')


@pytest.mark.parametrize(
    ("name", "constraint"),
    [
        ("has_underscore", "satisfy regular expression pattern"),
        ("-begins-with-dash", "satisfy regular expression pattern"),
        ("x" * 64, "have length less than or equal to 63"),
    ],
)
def test_names_are_matched_with_the_service_s_pattern(
    validator: RequestValidator, name: str, constraint: str
) -> None:
    request = {"EndpointName": name, "EndpointConfigName": "dogs"}
    assert f"Member must {constraint}" in refusal(validator, "CreateEndpoint", request).message


def test_all_violations_are_counted(validator: RequestValidator) -> None:
    assert refusal(validator, "CreateEndpoint", {}).message.startswith("2 validation errors")


def test_enum_and_range_are_checked(validator: RequestValidator) -> None:
    variant = {
        "VariantName": "v",
        "ModelName": "dogs",
        "ServerlessConfig": {"MemorySizeInMB": 512, "MaxConcurrency": 1},
        "InstanceType": "ml.none.huge",
    }
    request = {"EndpointConfigName": "dogs", "ProductionVariants": [variant]}
    message = refusal(validator, "CreateEndpointConfig", request).message
    assert "Value '512' at 'productionVariants.1.member.serverlessConfig.memorySizeInMB'" in message
    assert "Member must have value greater than or equal to 1024" in message
    assert "Member must satisfy enum value set: [" in message


@pytest.mark.parametrize("value", [7, True, ["dogs"], {"a": "b"}])
def test_wrong_type_can_not_be_read(validator: RequestValidator, value: object) -> None:
    error = refusal(validator, "DescribeEndpoint", {"EndpointName": value})
    assert error.code == "SerializationException"


def test_truth_is_no_number(validator: RequestValidator) -> None:
    error = refusal(validator, "ListModels", {"MaxResults": True})
    assert error.code == "SerializationException"
