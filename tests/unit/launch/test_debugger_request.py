"""The parts for SageMaker Debugger fit the request of a training job, by botocore's own model."""

from __future__ import annotations

import re
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ParamValidationError
from botocore.validate import validate_parameters

from training.inspection.tensor_rules import VanishingGradient
from training.launch.debugger_request import debugger_request

IMAGE = "503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest"
JOB: dict[str, Any] = {
    "TrainingJobName": "breeds",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "RoleArn": "arn:aws:iam::111122223333:role/training",
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
    "ResourceConfig": {
        "InstanceType": "ml.g5.xlarge",
        "InstanceCount": 1,
        "VolumeSizeInGB": 30,
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
}


@pytest.fixture(scope="module")
def sagemaker() -> Any:
    return botocore.session.get_session().get_service_model("sagemaker")


def parts() -> dict[str, Any]:
    return debugger_request("s3://bucket/debugger", IMAGE)


def test_parts_fit_the_request_of_a_training_job(sagemaker: Any) -> None:
    shape = sagemaker.operation_model("CreateTrainingJob").input_shape

    validate_parameters(JOB | parts(), shape)


def test_parts_do_not_fit_a_tuning_job(sagemaker: Any) -> None:
    """SageMaker refuses them there."""
    shape = sagemaker.shape_for("HyperParameterTrainingJobDefinition")

    with pytest.raises(ParamValidationError, match=r"Unknown parameter.*DebugHookConfig"):
        validate_parameters(parts(), shape)


def test_every_rule_of_the_original_is_named_to_the_image_of_all_rules() -> None:
    request = parts()
    rules = request["DebugRuleConfigurations"] + request["ProfilerRuleConfigurations"]

    assert {rule["RuleConfigurationName"] for rule in rules} == {
        "VanishingGradient",
        "PoorWeightInitialization",
        "ProfilerReport",
    }
    for rule in rules:
        assert rule["RuleParameters"]["rule_to_invoke"] == rule["RuleConfigurationName"]
        assert rule["RuleEvaluatorImage"] == IMAGE


def test_what_poor_weight_initialization_reads_is_saved() -> None:
    request = parts()
    (rule,) = (
        each
        for each in request["DebugRuleConfigurations"]
        if each["RuleConfigurationName"] == "PoorWeightInitialization"
    )
    collections = {
        each["CollectionName"]: each["CollectionParameters"]
        for each in request["DebugHookConfig"]["CollectionConfigurations"]
    }

    pattern = collections["relu_input"]["include_regex"]
    assert pattern == rule["RuleParameters"]["activation_inputs_regex"]
    assert re.match(pattern, "ResNet_layer1.0.relu_input_0")
    assert set(collections) == {"gradients", "losses", "relu_input"}


def test_threshold_of_vanishing_gradient_is_the_one_of_our_own_rule() -> None:
    (rule, _) = parts()["DebugRuleConfigurations"]

    assert float(rule["RuleParameters"]["threshold"]) == VanishingGradient().threshold


def test_tensors_and_profile_go_to_places_of_their_own() -> None:
    request = parts()

    assert request["DebugHookConfig"]["S3OutputPath"] == "s3://bucket/debugger/tensors"
    assert request["ProfilerConfig"]["S3OutputPath"] == "s3://bucket/debugger/profile"
