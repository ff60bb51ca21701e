"""A promotion's requests to SageMaker, and its way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from archive.card import ModelCard
from imagedrop.errors import UserError
from imagedrop.models import probe, promotion, serving_endpoint
from imagedrop.models.promotion import Promoter
from imagedrop.models.serving_endpoint import ServingEndpoint
from imaging import ImageSpec
from imaging.pixel_encoding import NPY, PixelEncoding
from pipeline.answers import Answer, InvalidAnswerError, Prediction
from pipeline.errors import TransientError
from registry.model_registry import Approval, ModelPackage
from registry.promotions import Promotion, Promotions
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
    """SageMaker has this one code for all that is wrong with a request."""
    return ClientError({"Error": {"Code": "ValidationException", "Message": message}}, "Call")


@dataclass
class FakeModels:
    """The models bucket."""

    noted: Promotions = field(default_factory=Promotions)

    def promotions(self) -> Promotions:
        return self.noted

    def write_promotions(self, promotions: Promotions) -> None:
        self.noted = promotions

    def read_card(self, url: str) -> ModelCard:
        return ModelCard.from_json(card(name=url.split("/")[-2]))


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
        )


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_endpoint, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(probe, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(promotion, "ALARM_POLL_SECONDS", 0.001)


@pytest.fixture
def world() -> World:
    return World(FakeSageMaker(SERVERLESS))


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


def test_refusal_that_is_not_a_taken_name_reaches_the_person(world: World) -> None:
    world.sagemaker.refusal = "Could not find model"
    with pytest.raises(ClientError, match="Could not find model"):
        world.promoter().promote("new", "7")
    assert world.sagemaker.updates == []


def test_serverless_knows_no_deployment_policy(world: World) -> None:
    world.promoter().promote("new", "7")
    (update,) = world.sagemaker.updates
    assert set(update) == {"EndpointName", "EndpointConfigName"}


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda a: a.faults.append(InvalidAnswerError("NaN")), id="no answer"),
        pytest.param(
            lambda a: a.faults.append(ClientError({"Error": {"Code": "ModelError"}}, "Invoke")),
            id="refuses",
        ),
        pytest.param(lambda a: setattr(a, "label", "unicorn"), id="label of no card"),
        pytest.param(lambda a: setattr(a, "model", "old@7"), id="another model"),
    ],
)
def test_model_that_fails_the_probe_is_taken_back_and_rejected(
    world: World, spoil: Callable[[FakeAnswers], None]
) -> None:
    spoil(world.answers)
    with pytest.raises(UserError, match="new@7 failed behind the endpoint"):
        world.promoter().promote("new", "7")
    assert world.sagemaker.served_url == OLD
    assert world.registry.decided == [Approval.REJECTED]
    assert world.models.noted == Promotions()


def test_alarm_after_the_switch_takes_the_endpoint_back(world: World) -> None:
    world.bake_seconds = 60
    world.alarms.on = [[], [], ["DeadLetters"]]
    with pytest.raises(UserError, match="alarms went off: DeadLetters"):
        world.promoter().promote("new", "7")
    assert world.sagemaker.served_url == OLD
    assert world.models.noted == Promotions()
    assert world.registry.decided[-1] is Approval.REJECTED


def test_alarm_before_the_switch_changes_nothing(world: World) -> None:
    world.alarms.on = [["EndpointErrors"]]
    with pytest.raises(UserError, match="EndpointErrors"):
        world.promoter().promote("new", "7")
    assert world.sagemaker.updates == []
    assert world.registry.decided == []


def test_a_cold_container_is_asked_again(world: World) -> None:
    world.answers.faults = [TransientError("ModelNotReadyException", "cold")] * 3
    assert world.promoter().promote("new", "7") == "new@7"


def test_model_that_never_comes_up_leaves_the_old_one_with_sagemakers_reason(
    world: World,
) -> None:
    world.sagemaker.comes_up = False
    with pytest.raises(UserError, match="no health"):
        world.promoter().promote("new", "7")
    assert world.sagemaker.served_url == OLD
    assert world.models.noted == Promotions()


def test_promoting_twice_switches_once(world: World) -> None:
    world.promoter().promote("new", "7")
    world.promoter().promote("new", "7")
    assert len(world.sagemaker.updates) == 1
    assert len(world.models.noted.all) == 1


def test_promoting_again_after_going_back_finds_what_it_made(world: World) -> None:
    world.promoter().promote("new", "7")
    world.promoter().back()
    world.promoter().promote("new", "7")
    assert world.sagemaker.served_url == NEW


def test_the_way_back_ends_at_the_default_model(world: World) -> None:
    spec = dict(IMAGE_SPEC)
    first, second = (Promotion(f"{u}@7", u, spec, "2026-01-01T00:00:00.000Z") for u in (OLD, NEW))
    world.models.noted = Promotions((first, second))

    assert world.promoter().back() == "old@7"
    assert world.models.noted == Promotions((first,))
    assert world.promoter().back() == "default@7"
    assert world.sagemaker.served_url == DEFAULT
    with pytest.raises(UserError, match="No model has been promoted"):
        world.promoter().back()


def test_interrupted_watch_leaves_the_promoted_model_noted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bake_seconds = 60

    def interrupt(seconds: float) -> None:
        if seconds:  # the watch; the other pauses are none here
            raise KeyboardInterrupt

    monkeypatch.setattr(promotion.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        world.promoter().promote("new", "7")
    assert world.sagemaker.served_url == NEW
    assert world.models.noted.current is not None
    assert world.registry.decided == [Approval.APPROVED]


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
