"""The stack's endpoint, and how it switches to another archive: blue/green, by UpdateEndpoint.

The names of models and configurations end in a hash of their content, so the same promotion twice
makes them once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from imagedrop.errors import UserError
from imagedrop.target import Target
from pipeline.adapters.service_errors import error_code, translate_errors
from registry.served_model import Serving, describe_serving

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

POLL_SECONDS = 0.5
# A container gets eight minutes to start; an update on instances takes half an hour and more.
UPDATE_SECONDS = 3600
# How long the old instances stay beside the new ones: SageMaker allows one hour at most.
MAX_BAKE_SECONDS = 3600
# Of MaximumExecutionTimeoutInSeconds (API_BlueGreenUpdatePolicy).
MIN_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS = 600, 28_800
# SageMaker needs some time after its own timeout to go back and to say why.
ROLLBACK_SECONDS = 600

# Of a container that DescribeModel shows, CreateModel takes these together. DescribeModel adds a
# ModelDataSource, which contradicts another ModelDataUrl.
_CONTAINER_MEMBERS = (
    *("Image", "ModelDataUrl", "Environment", "Mode", "ContainerHostname", "ImageConfig"),
)
MODEL_MEMBERS = ("ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation")
_CONFIG_MEMBERS = (
    *("DataCaptureConfig", "KmsKeyId", "AsyncInferenceConfig", "ExplainerConfig"),
    *("VpcConfig", "ExecutionRoleArn", "EnableNetworkIsolation"),
)
_HASH_CHARACTERS = 12


class ServingEndpoint:
    """One endpoint with one variant, as the template makes it."""

    def __init__(self, sagemaker: SageMakerClient, name: str) -> None:
        self._sagemaker = sagemaker
        self.name = name

    def serving(self) -> Serving:
        """Describes what serves now; raises TransientError and ClientError."""
        return describe_serving(self._sagemaker, self.name)

    def make_model(
        self, now: Serving, model_data_url: str, members: Sequence[str] = MODEL_MEMBERS
    ) -> str:
        """Copies the current model with another archive; returns the copy's name.

        Args:
            members: of the current model, beside its container.
        """
        container = _given(now.model["PrimaryContainer"], _CONTAINER_MEMBERS)
        model: dict[str, Any] = {
            **_given(now.model, members),
            "PrimaryContainer": {**container, "ModelDataUrl": model_data_url},
        }
        model["ModelName"] = name_of(model)
        sagemaker = self._sagemaker
        with translate_errors():
            make_once(sagemaker.create_model, model, sagemaker.describe_model, "ModelName")
        return str(model["ModelName"])

    def make_config(self, now: Serving, model_data_url: str) -> str:
        """Copies the current configuration with another archive; returns the copy's name."""
        model_name = self.make_model(now, model_data_url)
        variant = {**now.config["ProductionVariants"][0], "ModelName": model_name}
        return self.make_config_with(_given(now.config, _CONFIG_MEMBERS), variant)

    def make_config_with(self, members: Mapping[str, Any], variant: Mapping[str, Any]) -> str:
        """Makes a configuration of one variant, unless it is there; returns its name.

        Args:
            members: of the configuration, beside its variant.
        """
        config: dict[str, Any] = {**members, "ProductionVariants": [variant]}
        config["EndpointConfigName"] = name_of(config)
        sagemaker = self._sagemaker
        with translate_errors():
            make_once(
                sagemaker.create_endpoint_config,
                config,
                sagemaker.describe_endpoint_config,
                "EndpointConfigName",
            )
        return str(config["EndpointConfigName"])

    def begin_update(
        self, config_name: str, *, is_on_instances: bool, bake_seconds: int, alarms: Sequence[str]
    ) -> None:
        """Starts the switch. On instances SageMaker itself rolls back if an alarm goes off while
        both fleets run, and the new fleet is as large as the old one, which autoscaling may have
        changed; serverless endpoints have neither.

        Raises:
            UserError: another update is under way.
            TransientError: SageMaker is busy or did not answer.
            ClientError: anything else.
        """
        request: dict[str, Any] = {"EndpointName": self.name, "EndpointConfigName": config_name}
        if is_on_instances:
            # Without it the fleet shrinks to the configuration's InitialInstanceCount.
            request["RetainAllVariantProperties"] = True
            request["DeploymentConfig"] = {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "ALL_AT_ONCE",
                        "WaitIntervalInSeconds": bake_seconds,
                    },
                    "TerminationWaitInSeconds": 0,
                    "MaximumExecutionTimeoutInSeconds": update_timeout_seconds(bake_seconds),
                },
                "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": each} for each in alarms]},
            }
        with translate_errors():
            try:
                self._sagemaker.update_endpoint(**request)
            except ClientError as error:
                status = self._sagemaker.describe_endpoint(EndpointName=self.name)["EndpointStatus"]
                if error_code(error) == "ValidationException" and status != "InService":
                    raise UserError(
                        f"The endpoint {self.name} is {status}: another update is in progress.",
                        "Check with: imagedrop models. Retry when the endpoint is in service.",
                    ) from error
                raise

    def until_in_service(self, config_name: str, *, bake_seconds: int) -> Iterator[str]:
        """Yields the endpoint's status, poll after poll, until it serves with `config_name`.

        It waits longer than SageMaker does, so that SageMaker's own timeout is the reason.

        Raises:
            UserError: the endpoint kept or went back to its old configuration. The message has
                SageMaker's reason.
        """
        longest = update_timeout_seconds(bake_seconds) + ROLLBACK_SECONDS
        deadline = time.monotonic() + longest
        while time.monotonic() < deadline:
            with translate_errors():
                endpoint = self._sagemaker.describe_endpoint(EndpointName=self.name)
            status = endpoint["EndpointStatus"]
            yield status
            if status in ("InService", "Failed", "UpdateRollbackFailed"):
                if status == "InService" and endpoint["EndpointConfigName"] == config_name:
                    return
                raise UserError(
                    f"SageMaker could not start the model: "
                    f"{endpoint.get('FailureReason', 'it gives no reason')}",
                    f"The endpoint is {status} with its former model. See its log: "
                    f"/aws/sagemaker/Endpoints/{self.name}",
                )
            time.sleep(POLL_SECONDS)
        raise UserError(
            f"The endpoint was not in service after {longest} seconds.",
            "Check with: imagedrop models",
        )


def serving_endpoint(target: Target) -> ServingEndpoint:
    """Returns the stack's endpoint."""
    return ServingEndpoint(target.client("sagemaker"), target.outputs["EndpointName"])


def update_timeout_seconds(bake_seconds: int) -> int:
    """Returns the longest update: the watch of the alarms, and an hour for the rest.

    SageMaker asks for more than the sum of its waits (API_BlueGreenUpdatePolicy).
    """
    return min(max(bake_seconds + UPDATE_SECONDS, MIN_TIMEOUT_SECONDS), MAX_TIMEOUT_SECONDS)


def _given(described: Mapping[str, Any], members: Sequence[str]) -> dict[str, Any]:
    """Returns the members of a description that a request can repeat.

    `False` is the default of EnableNetworkIsolation; Describe shows it in every answer.
    """
    found = {each: described[each] for each in members if each in described}
    return {name: value for name, value in found.items() if value is not False}


def name_of(request: Mapping[str, Any]) -> str:
    """Returns a name that is unique to this request: letters, digits and hyphens."""
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return f"imagedrop-promoted-{digest[:_HASH_CHARACTERS]}"


def make_once(create: Any, request: Mapping[str, Any], describe: Any, name: str) -> None:
    """Creates a resource unless it is there: names are hashes, so it is the same one.

    SageMaker has no error code for a name that is taken, only ValidationException. Describing the
    name distinguishes the two without reading the message.
    """
    try:
        create(**request)
    except ClientError as error:
        if error_code(error) != "ValidationException" or not _is_there(describe, name, request):
            raise


def _is_there(describe: Any, name: str, request: Mapping[str, Any]) -> bool:
    try:
        describe(**{name: request[name]})
    except ClientError as error:
        if error_code(error) != "ValidationException":
            raise
        return False
    return True
