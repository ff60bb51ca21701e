"""The stack's endpoint, and how another archive comes behind it: blue/green, by UpdateEndpoint.

A model's name and its configuration's name hold a hash of all that they are made of, so that the
same promotion twice makes them once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from imagedrop.errors import UserError
from pipeline.adapters.service_errors import error_code, transient_errors_named

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

POLL_SECONDS = 0.5
# SageMaker gives a container eight minutes, and an update on instances half an hour and more.
UPDATE_DEADLINE_SECONDS = 3600
# How long the old instances stay beside the new ones; SageMaker's largest is an hour.
MAX_BAKE_SECONDS = 3600

_MODEL_MEMBERS = ("ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation")
_CONFIG_MEMBERS = (
    *("DataCaptureConfig", "KmsKeyId", "AsyncInferenceConfig", "ExplainerConfig"),
    *("VpcConfig", "ExecutionRoleArn", "EnableNetworkIsolation"),
)
_NAME_CHARACTERS = 63
_HASH_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class Serving:
    """What is behind the endpoint: SageMaker's descriptions of configuration and model."""

    config: Mapping[str, Any]
    model: Mapping[str, Any]

    @property
    def config_name(self) -> str:
        return str(self.config["EndpointConfigName"])

    @property
    def model_data_url(self) -> str:
        return str(self.model["PrimaryContainer"]["ModelDataUrl"])

    @property
    def image(self) -> str:
        """The container that serves."""
        return str(self.model["PrimaryContainer"]["Image"])

    @property
    def is_on_instances(self) -> bool:
        return "ServerlessConfig" not in self.config["ProductionVariants"][0]


class ServingEndpoint:
    """One endpoint with one variant, as the template makes it."""

    def __init__(self, sagemaker: SageMakerClient, name: str) -> None:
        self._sagemaker = sagemaker
        self.name = name

    def serving(self) -> Serving:
        """
        Raises:
            TransientError: SageMaker is busy or did not answer.
            ClientError: anything else, a missing endpoint above all.
        """
        with transient_errors_named():
            endpoint = self._sagemaker.describe_endpoint(EndpointName=self.name)
            config = self._sagemaker.describe_endpoint_config(
                EndpointConfigName=endpoint["EndpointConfigName"]
            )
            model = self._sagemaker.describe_model(
                ModelName=config["ProductionVariants"][0]["ModelName"]
            )
        return Serving(config, model)

    def make_config(self, now: Serving, model_data_url: str) -> str:
        """A configuration that differs from the one that serves by its model's archive alone."""
        container = {**now.model["PrimaryContainer"], "ModelDataUrl": model_data_url}
        model: dict[str, Any] = {
            **{each: now.model[each] for each in _MODEL_MEMBERS if each in now.model},
            "PrimaryContainer": container,
        }
        model["ModelName"] = _name_of(model)
        config: dict[str, Any] = {
            **{each: now.config[each] for each in _CONFIG_MEMBERS if each in now.config},
            "ProductionVariants": [
                {**now.config["ProductionVariants"][0], "ModelName": model["ModelName"]}
            ],
        }
        config["EndpointConfigName"] = _name_of(config)
        with transient_errors_named():
            _unless_there(self._sagemaker.create_model, model)
            _unless_there(self._sagemaker.create_endpoint_config, config)
        return str(config["EndpointConfigName"])

    def begin_update(
        self, config_name: str, *, is_on_instances: bool, bake_seconds: int, alarms: Sequence[str]
    ) -> None:
        """Asks SageMaker for the switch. On instances SageMaker itself goes back when one of the
        alarms goes off while both fleets are there; serverless endpoints know no such thing.

        Raises:
            UserError: another update is under way.
            TransientError: SageMaker is busy or did not answer.
            ClientError: anything else.
        """
        request: dict[str, Any] = {"EndpointName": self.name, "EndpointConfigName": config_name}
        if is_on_instances:
            request["DeploymentConfig"] = {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "ALL_AT_ONCE",
                        "WaitIntervalInSeconds": bake_seconds,
                    },
                    "TerminationWaitInSeconds": 0,
                    "MaximumExecutionTimeoutInSeconds": UPDATE_DEADLINE_SECONDS,
                },
                "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": each} for each in alarms]},
            }
        with transient_errors_named():
            try:
                self._sagemaker.update_endpoint(**request)
            except ClientError as error:
                status = self._sagemaker.describe_endpoint(EndpointName=self.name)["EndpointStatus"]
                if error_code(error) == "ValidationException" and status != "InService":
                    raise UserError(
                        f"The endpoint {self.name} is {status}: somebody else changes it.",
                        "Look at it with: imagedrop models, and try again when it is in service",
                    ) from error
                raise

    def until_in_service(self, config_name: str) -> Iterator[str]:
        """The endpoint's status, again and again, until it serves with `config_name`.

        Raises:
            UserError: the endpoint kept, or went back to, what it had; SageMaker's reason is told.
        """
        deadline = time.monotonic() + UPDATE_DEADLINE_SECONDS
        while time.monotonic() < deadline:
            with transient_errors_named():
                endpoint = self._sagemaker.describe_endpoint(EndpointName=self.name)
            status = endpoint["EndpointStatus"]
            yield status
            if status in ("InService", "Failed", "UpdateRollbackFailed"):
                if status == "InService" and endpoint["EndpointConfigName"] == config_name:
                    return
                raise UserError(
                    f"SageMaker could not bring the model up: "
                    f"{endpoint.get('FailureReason', 'it gives no reason')}",
                    f"The endpoint is {status} with what it had before. Its log says more: "
                    f"/aws/sagemaker/Endpoints/{self.name}",
                )
            time.sleep(POLL_SECONDS)
        raise UserError(
            f"The endpoint was not in service after {UPDATE_DEADLINE_SECONDS} seconds.",
            "Look at it with: imagedrop models",
        )


def _name_of(request: Mapping[str, Any]) -> str:
    """A name that only this request has; letters, digits and hyphens."""
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return f"imagedrop-promoted-{digest[:_HASH_CHARACTERS]}"[:_NAME_CHARACTERS]


def _unless_there(create: Any, request: Mapping[str, Any]) -> None:
    try:
        create(**request)
    except ClientError as error:
        # SageMaker has no code of its own for a name that is taken; every other cause of a
        # ValidationException shows itself when the name is used.
        if error_code(error) != "ValidationException":
            raise
