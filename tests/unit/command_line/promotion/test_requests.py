"""A promotion's requests to SageMaker."""

from __future__ import annotations

import botocore.session
import pytest
from botocore.validate import ParamValidator

from imagedrop.models import serving_endpoint
from registry.model_registry import Approval
from tests.unit.command_line.promotion.conftest import (
    ALARMS,
    INSTANCES,
    NEW,
    SERVERLESS,
    FakeSageMaker,
    World,
)


def test_promoted_model_keeps_everything_but_its_archive(world: World) -> None:
    assert world.promoter().promote("new", "7") == "new@7"

    config = world.sagemaker.configs[world.sagemaker.serves]
    (variant,) = config["ProductionVariants"]
    model = world.sagemaker.models[variant["ModelName"]]
    assert variant == {
        "VariantName": "AllTraffic",
        "ModelName": model["ModelName"],
        **SERVERLESS,
    }
    assert config["KmsKeyId"] == "arn:key"
    assert model["ExecutionRoleArn"] == "arn:aws:iam::000000000000:role/serving"
    assert set(model) == {"ModelName", "ExecutionRoleArn", "PrimaryContainer"}
    assert model["PrimaryContainer"] == {
        "Image": "serving:1",
        "ModelDataUrl": NEW,
        "Mode": "SingleModel",
        "Environment": {},
    }
    assert world.registry.decided == [Approval.APPROVED]
    assert world.models.noted.current is not None
    assert world.models.noted.current.model_data_url == NEW


def test_instances_are_switched_blue_green_and_watched_by_sagemaker() -> None:
    world = World(FakeSageMaker(INSTANCES), bake_seconds=120)
    world.promoter().promote("new", "7")

    (update,) = world.sagemaker.updates
    policy = update["DeploymentConfig"]
    traffic = policy["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert traffic == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 120}
    named = policy["AutoRollbackConfiguration"]["Alarms"]
    assert named == [{"AlarmName": name} for name in ALARMS]


@pytest.mark.parametrize("bake_seconds", [0, 300, serving_endpoint.MAX_BAKE_SECONDS])
def test_update_on_instances_may_take_longer_than_its_waits(bake_seconds: int) -> None:
    world = World(FakeSageMaker(INSTANCES), bake_seconds=bake_seconds)
    world.promoter().promote("new", "7")

    policy = world.sagemaker.updates[0]["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    timeout = policy["MaximumExecutionTimeoutInSeconds"]
    wait = policy["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"]
    assert timeout > wait + policy["TerminationWaitInSeconds"]
    assert 600 <= timeout <= 28_800  # API_BlueGreenUpdatePolicy


def test_promotion_keeps_the_number_of_instances() -> None:
    world = World(FakeSageMaker(INSTANCES))
    world.promoter().promote("new", "7")
    assert world.sagemaker.updates[0]["RetainAllVariantProperties"] is True


def test_network_isolation_is_kept() -> None:
    world = World(FakeSageMaker(INSTANCES))
    world.sagemaker.models["model"]["EnableNetworkIsolation"] = True
    world.promoter().promote("new", "7")
    assert list(world.sagemaker.models.values())[-1]["EnableNetworkIsolation"] is True


def test_serverless_knows_no_deployment_policy(world: World) -> None:
    world.promoter().promote("new", "7")
    (update,) = world.sagemaker.updates
    assert set(update) == {"EndpointName", "EndpointConfigName"}


def test_what_is_asked_of_sagemaker_is_what_its_api_takes() -> None:
    world = World(FakeSageMaker(INSTANCES), bake_seconds=120)
    world.promoter().promote("new", "7")
    model = botocore.session.get_session().get_service_model("sagemaker")
    created = world.sagemaker
    asked = {
        "UpdateEndpoint": created.updates[0],
        "CreateModel": created.models[list(created.models)[-1]],
        "CreateEndpointConfig": created.configs[list(created.configs)[-1]],
    }
    for operation, request in asked.items():
        shape = model.operation_model(operation).input_shape
        assert not ParamValidator().validate(request, shape).has_errors()
