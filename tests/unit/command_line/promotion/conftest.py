"""An endpoint, its models and its alarms, as a promotion sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from archive.card import ModelCard
from imagedrop.models import probe, promotion, serving_endpoint
from imagedrop.models.promotion import Promoter
from imagedrop.models.serving_endpoint import ServingEndpoint
from imaging import ImageSpec
from imaging.pixel_encoding import NPY, PixelEncoding
from pipeline.answers import Answer, Prediction
from registry.model_registry import Approval, ModelPackage
from registry.promotions import Promotions
from tests.model_archives import IMAGE_SPEC, card

OLD, NEW, DEFAULT = (
    f"s3://models/models/{name}/model.tar.gz" for name in ("old", "new", "default")
)
SERVERLESS = {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5}}
INSTANCES = {"InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 2}
ALARMS = ["EndpointErrors", "DeadLetters"]


@dataclass
class FakeSageMaker:
    """One endpoint; what it is asked for is in service with the second look."""

    variant: dict[str, Any]
    models: dict[str, Any] = field(default_factory=dict)
    configs: dict[str, Any] = field(default_factory=dict)
    updates: list[dict[str, Any]] = field(default_factory=list)
    comes_up: bool = True
    refusal: str = ""
    serves: str = "config"
    looks: int = 0

    def __post_init__(self) -> None:
        self.models["model"] = {
            "ModelName": "model",
            "ExecutionRoleArn": "arn:aws:iam::000000000000:role/serving",
            "PrimaryContainer": {"Image": "serving:1", "ModelDataUrl": OLD},
        }
        self.configs["config"] = {
            "EndpointConfigName": "config",
            "KmsKeyId": "arn:key",
            "ProductionVariants": [
                {"VariantName": "AllTraffic", "ModelName": "model", **self.variant}
            ],
        }

    @property
    def served_url(self) -> str:
        name = self.configs[self.serves]["ProductionVariants"][0]["ModelName"]
        url: str = self.models[name]["PrimaryContainer"]["ModelDataUrl"]
        return url

    def describe_endpoint(self, **_: Any) -> dict[str, Any]:
        self.looks += 1
        status = "Updating" if self.updates and self.looks % 2 else "InService"
        return {
            "EndpointConfigName": self.serves,
            "EndpointStatus": status,
            "FailureReason": "no health",
        }

    def describe_endpoint_config(self, **request: Any) -> Any:
        return _found(self.configs, request["EndpointConfigName"])

    def describe_model(self, **request: Any) -> Any:
        """With what AWS adds: a fixture of sagemaker-core that was recorded from an account."""
        model = _found(self.models, request["ModelName"])
        container = model["PrimaryContainer"]
        source = {
            "S3Uri": container["ModelDataUrl"],
            "S3DataType": "S3Object",
            "CompressionType": "Gzip",
        }
        return {
            **model,
            "PrimaryContainer": {
                "Mode": "SingleModel",
                "Environment": {},
                **container,
                "ModelDataSource": {"S3DataSource": source},
            },
            "EnableNetworkIsolation": model.get("EnableNetworkIsolation", False),
            "DeploymentRecommendation": {
                "RecommendationStatus": "COMPLETED",
                "RealTimeInferenceRecommendations": [],
            },
            "ModelArn": f"arn:aws:sagemaker:us-east-1:000000000000:model/{model['ModelName']}",
            "CreationTime": datetime.now(UTC),
        }

    def create_model(self, **request: Any) -> None:
        if "ModelDataSource" in request["PrimaryContainer"]:
            raise _invalid("a ModelDataSource beside ModelDataUrl")
        _take(self.models, request["ModelName"], request)

    def create_endpoint_config(self, **request: Any) -> None:
        if self.refusal:
            raise _invalid(self.refusal)
        _take(self.configs, request["EndpointConfigName"], request)

    def update_endpoint(self, **request: Any) -> None:
        self.updates.append(request)
        self.looks = 0
        if self.comes_up:
            self.serves = request["EndpointConfigName"]


def _take(table: dict[str, Any], name: str, request: dict[str, Any]) -> None:
    if name in table:
        raise _invalid(f'Cannot create already existing "{name}".')
    table[name] = request


def _found(table: dict[str, Any], name: str) -> Any:
    if name not in table:
        raise _invalid(f'Could not find "{name}".')
    return table[name]


def _invalid(message: str) -> ClientError:
    """SageMaker has one code for every fault in a request."""
    return ClientError({"Error": {"Code": "ValidationException", "Message": message}}, "Call")


@dataclass
class FakeModels:
    """The models bucket."""

    noted: Promotions = field(default_factory=Promotions)
    gates: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By the name of the model."""

    def promotions(self) -> Promotions:
        return self.noted

    def write_promotions(self, promotions: Promotions) -> None:
        self.noted = promotions

    def read_card(self, url: str) -> ModelCard:
        name = url.split("/")[-2]
        return ModelCard.from_json(card(name=name, gate=self.gates.get(name)))


@dataclass
class FakeAnswers:
    """The endpoint's runtime: answers as the serving model, or with the given faults."""

    sagemaker: FakeSageMaker
    faults: list[Exception] = field(default_factory=list)
    label: str = "akita"
    model: str | None = None

    def classify(
        self, body: bytes, spec: ImageSpec, count: int, encoding: PixelEncoding = NPY
    ) -> list[Answer]:
        assert (count, spec) == (1, ImageSpec.from_json(IMAGE_SPEC))
        assert body.startswith(b"\x93NUMPY")
        if self.faults:
            raise self.faults.pop(0)
        model = self.model or f"{self.sagemaker.served_url.split('/')[-2]}@7"
        return [Answer(self.label, 1.0, (Prediction(self.label, 1.0),), model)]


@dataclass
class FakeRegistry:
    decided: list[Approval] = field(default_factory=list)

    def packages_of(self, name: str) -> Iterator[ModelPackage]:
        if name == "new":
            pending, now = Approval.PENDING, datetime.now(UTC)
            yield ModelPackage("arn", "new", "7", 1, pending, now, NEW, {})

    def decide(self, _package: ModelPackage, approval: Approval, why: str) -> None:
        assert why
        self.decided.append(approval)


@dataclass
class FakeAlarms:
    """CloudWatch; each look takes the next list of alarms that are on."""

    on: list[list[str]] = field(default_factory=list)

    def describe_alarms(self, **request: Any) -> Any:
        assert request == {"AlarmNames": ALARMS, "StateValue": "ALARM"}
        names = self.on.pop(0) if self.on else []
        return {"MetricAlarms": [{"AlarmName": name} for name in names]}


@dataclass
class World:
    sagemaker: FakeSageMaker
    models: FakeModels = field(default_factory=FakeModels)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    alarms: FakeAlarms = field(default_factory=FakeAlarms)
    answers: FakeAnswers = field(init=False)
    bake_seconds: int = 0
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answers = FakeAnswers(self.sagemaker)

    def promoter(self) -> Promoter:
        return Promoter(
            endpoint=ServingEndpoint(self.sagemaker, "endpoint"),  # type: ignore[arg-type]
            runtime=self.answers,  # type: ignore[arg-type]
            models=self.models,  # type: ignore[arg-type]
            registry=self.registry,  # type: ignore[arg-type]
            cloudwatch=self.alarms,
            alarms=ALARMS,
            default_model_data_url=DEFAULT,
            bake_seconds=self.bake_seconds,
            on_step=lambda _line: None,
            on_warning=self.warnings.append,
        )


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_endpoint, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(probe, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(promotion, "ALARM_POLL_SECONDS", 0.001)


@pytest.fixture
def world() -> World:
    return World(FakeSageMaker(SERVERLESS))
