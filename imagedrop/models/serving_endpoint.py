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
from pipeline.adapters.service_errors import error_code, translate_errors
from registry.served_model import Serving, describe_serving

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

POLL_SECONDS = 0.5
# A container gets eight minutes to start; an update on instances takes half an hour and more.
UPDATE_DEADLINE_SECONDS = 3600
# How long the old instances stay beside the new ones: SageMaker allows one hour at most.
MAX_BAKE_SECONDS = 3600

_MODEL_MEMBERS = ("ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation")
_CONFIG_MEMBERS = (
    *("DataCaptureConfig", "KmsKeyId", "AsyncInferenceConfig", "ExplainerConfig"),
    *("VpcConfig", "ExecutionRoleArn", "EnableNetworkIsolation"),
)
_NAME_CHARACTERS = 63
_HASH_CHARACTERS = 12


class ServingEndpoint:
    """One endpoint with one variant, as the template makes it."""

    def __init__(self, sagemaker: SageMakerClient, name: str) -> None:
        self._sagemaker = sagemaker
        self.name = name

    def serving(self) -> Serving:
        """Describes what serves now; raises TransientError and ClientError."""
        return describe_serving(self._sagemaker, self.name)

    def make_config(self, now: Serving, model_data_url: str) -> str:
        """Makes a configuration like the one that serves, with another archive; its name."""
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
        with translate_errors():
            _unless_there(self._sagemaker.create_model, model)
            _unless_there(self._sagemaker.create_endpoint_config, config)
        return str(config["EndpointConfigName"])

    def begin_update(
        self, config_name: str, *, is_on_instances: bool, bake_seconds: int, alarms: Sequence[str]
    ) -> None:
        """Starts the switch. On instances SageMaker itself rolls back if an alarm goes off while
        both fleets run; serverless endpoints have no such rollback.

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

    def until_in_service(self, config_name: str) -> Iterator[str]:
        """Yields the endpoint's status, poll after poll, until it serves with `config_name`.

        Raises:
            UserError: the endpoint kept or went back to its old configuration. The message has
                SageMaker's reason.
        """
        deadline = time.monotonic() + UPDATE_DEADLINE_SECONDS
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
            f"The endpoint was not in service after {UPDATE_DEADLINE_SECONDS} seconds.",
            "Check with: imagedrop models",
        )


def _name_of(request: Mapping[str, Any]) -> str:
    """Returns a name that is unique to this request: letters, digits and hyphens."""
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return f"imagedrop-promoted-{digest[:_HASH_CHARACTERS]}"[:_NAME_CHARACTERS]


def _unless_there(create: Any, request: Mapping[str, Any]) -> None:
    try:
        create(**request)
    except ClientError as error:
        # SageMaker has no error code for a name that is taken. Every other cause of a
        # ValidationException shows when the name is used.
        if error_code(error) != "ValidationException":
            raise
