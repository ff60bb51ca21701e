"""The endpoint of a candidate: made once, waited for, and never without its setting in order."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from archive.card import ModelCard
from imagedrop.errors import UserError
from imagedrop.models import shadow_endpoint
from imagedrop.models.candidates import Candidate
from imagedrop.models.serving_endpoint import ServingEndpoint
from imagedrop.models.shadow_endpoint import ShadowEndpoint
from registry.served_model import Serving
from tests.model_archives import card
from tests.unit.command_line.promotion.conftest import (
    INSTANCES,
    NEW,
    SERVERLESS,
    FakeSageMaker,
)

NAME = "stack-shadow-0123456789ab"


class TwoEndpoints(FakeSageMaker):
    """The stack's endpoint, and beside it a candidate's, which serves with the second look."""

    def __init__(self, variant: dict[str, Any], fails: str = "") -> None:
        super().__init__(variant)
        self.shadow: dict[str, Any] | None = None
        self.fails, self.begun = fails, list[str]()

    def describe_endpoint(self, **request: Any) -> dict[str, Any]:
        if request["EndpointName"] != NAME:
            return super().describe_endpoint(**request)
        if self.shadow is None:
            raise ClientError({"Error": {"Code": "ValidationException"}}, "DescribeEndpoint")
        status, self.shadow["EndpointStatus"] = self.shadow["EndpointStatus"], "InService"
        if self.fails and status != "Creating":
            return self.shadow | {"EndpointStatus": "Failed", "FailureReason": self.fails}
        return self.shadow | {"EndpointStatus": status}

    def create_endpoint(self, **request: Any) -> None:
        self.begun.append("create")
        self.shadow = {**request, "EndpointStatus": "Creating"}

    def update_endpoint(self, **request: Any) -> None:
        assert request["EndpointName"] == NAME
        self.begun.append("update")
        self.shadow = {**request, "EndpointStatus": "Updating"}

    def delete_endpoint(self, **request: Any) -> None:
        assert request == {"EndpointName": NAME}
        self.shadow = None


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow_endpoint, "POLL_SECONDS", 0.0)


def start(sagemaker: TwoEndpoints, url: str = NEW, **model: Any) -> list[str]:
    known = sagemaker.describe_model(ModelName="model") | model
    serving = Serving(sagemaker.configs["config"], known)
    found = ModelCard.from_json(card())
    steps: list[str] = []
    ShadowEndpoint(sagemaker, NAME).start(  # type: ignore[arg-type]
        ServingEndpoint(sagemaker, "endpoint"),  # type: ignore[arg-type]
        Candidate(found, url, serving, found),
        steps.append,
    )
    return steps


@pytest.mark.parametrize("variant", [SERVERLESS, INSTANCES])
def test_the_endpoint_is_serverless_with_the_stacks_container_and_role(
    variant: dict[str, Any],
) -> None:
    sagemaker = TwoEndpoints(variant)
    steps = start(sagemaker, EnableNetworkIsolation=True)
    assert steps == ["Creating", "InService"]
    assert sagemaker.shadow is not None
    (made,) = sagemaker.configs[sagemaker.shadow["EndpointConfigName"]]["ProductionVariants"]
    assert made["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 1}
    model = sagemaker.models[made["ModelName"]]
    assert model["PrimaryContainer"] == {
        "Image": "serving:1",
        "ModelDataUrl": NEW,
        "Mode": "SingleModel",
        "Environment": {},
    }
    assert model["ExecutionRoleArn"].endswith("role/serving")
    assert "EnableNetworkIsolation" not in model  # serverless endpoints do not support it


def test_the_same_candidate_twice_is_one_endpoint_and_another_one_is_an_update() -> None:
    sagemaker = TwoEndpoints(SERVERLESS)
    start(sagemaker)
    start(sagemaker)
    start(sagemaker, "s3://models/models/newer/model.tar.gz")
    assert sagemaker.begun == ["create", "update"]


def test_a_candidate_that_does_not_start_is_an_error_with_sagemakers_reason() -> None:
    with pytest.raises(UserError, match="no health"):
        start(TwoEndpoints(SERVERLESS, fails="no health"))


@pytest.mark.parametrize("status", ["Creating", "Updating", "Deleting"])
def test_an_endpoint_that_changes_is_not_changed_and_not_deleted_but_said(status: str) -> None:
    sagemaker = TwoEndpoints(SERVERLESS)
    for act in (
        lambda: start(sagemaker, "s3://models/models/newer/model.tar.gz"),
        lambda: ShadowEndpoint(sagemaker, NAME).stop(),  # type: ignore[arg-type]
    ):
        sagemaker.shadow = {"EndpointConfigName": "another", "EndpointStatus": status}
        with pytest.raises(UserError, match=status) as refused:
            act()
        assert "Try again" in refused.value.next_step
    assert sagemaker.begun == []
    assert sagemaker.shadow is not None


def test_models_in_a_vpc_have_no_candidate() -> None:
    sagemaker = TwoEndpoints(INSTANCES)
    with pytest.raises(UserError, match="VPC"):
        start(sagemaker, VpcConfig={"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]})
    assert sagemaker.begun == []


def test_an_endpoint_is_deleted_once() -> None:
    sagemaker = TwoEndpoints(SERVERLESS)
    start(sagemaker)
    endpoint = ShadowEndpoint(sagemaker, NAME)  # type: ignore[arg-type]
    assert (endpoint.stop(), endpoint.stop()) == (True, False)
