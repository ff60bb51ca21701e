"""Contract: a stack's models and endpoints are made, moved and deleted in the stand-in."""

from __future__ import annotations

from typing import Any

from tests.integration.emulator.emulator_harness import Emulator, outputs


def _template(memory_megabytes: int) -> dict[str, Any]:
    return {
        "Parameters": {"Concurrency": {"Type": "Number", "Default": 5}},
        "Resources": {
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {
                    "ExecutionRoleArn": "arn:aws:iam::000000000000:role/endpoint",
                    "PrimaryContainer": {"Image": "serving", "ModelDataUrl": "s3://models/m"},
                },
            },
            "Config": {
                "Type": "AWS::SageMaker::EndpointConfig",
                "Properties": {
                    "ProductionVariants": [
                        {
                            "VariantName": "AllTraffic",
                            "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
                            "InitialVariantWeight": 1,
                            "ServerlessConfig": {
                                "MemorySizeInMB": memory_megabytes,
                                "MaxConcurrency": {"Ref": "Concurrency"},
                            },
                        }
                    ]
                },
            },
            "Endpoint": {
                "Type": "AWS::SageMaker::Endpoint",
                "Properties": {
                    "EndpointName": "breeds",
                    "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
                },
            },
        },
        "Outputs": outputs(
            Arn={"Ref": "Endpoint"},
            Name={"Fn::GetAtt": ["Endpoint", "EndpointName"]},
            Config={"Fn::GetAtt": ["Config", "EndpointConfigName"]},
        ),
    }


def test_endpoint_is_created_moved_to_a_new_config_and_deleted(emulator: Emulator) -> None:
    sagemaker = emulator.sagemaker
    sagemaker.calls.clear()

    created = emulator.deploy("sagemaker", _template(2048))

    assert created["Name"] == "breeds"
    assert created["Arn"] == "arn:aws:sagemaker:us-east-1:000000000000:endpoint/breeds"
    assert sagemaker.operations() == ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
    (variant,) = sagemaker.requests("CreateEndpointConfig")[0]["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert sagemaker.endpoints["breeds"]["EndpointStatus"] == "InService"

    sagemaker.calls.clear()
    moved = emulator.deploy("sagemaker", _template(4096))

    assert moved["Config"] != created["Config"]
    assert sagemaker.operations() == [
        "CreateEndpointConfig",
        "UpdateEndpoint",
        "DeleteEndpointConfig",
    ]
    assert sagemaker.endpoints["breeds"]["EndpointConfigName"] == moved["Config"]
    assert sagemaker.requests("DeleteEndpointConfig")[0]["EndpointConfigName"] == created["Config"]

    sagemaker.calls.clear()
    emulator.delete("sagemaker")

    assert sagemaker.operations() == ["DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"]
