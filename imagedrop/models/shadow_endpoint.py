"""The endpoint of a candidate on trial: created, waited for and deleted here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from imagedrop.errors import UserError
from imagedrop.models.candidates import Candidate
from imagedrop.models.serving_endpoint import (
    POLL_SECONDS,
    UPDATE_SECONDS,
    ServingEndpoint,
)
from pipeline.adapters.service_errors import error_code, translate_errors

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

# One request at a time: further requests are retried, and then left out. A new account has
# ten at once over all its serverless endpoints.
MAX_CONCURRENCY = 1
# SageMaker refuses to change or to delete an endpoint that changes.
IN_PROGRESS = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
MEGABYTES = 2048  # where the stack's endpoint is on instances


class ShadowEndpoint:
    """The one endpoint of this name, or none."""

    def __init__(self, sagemaker: SageMakerClient, name: str) -> None:
        self._sagemaker = sagemaker
        self.name = name

    def start(
        self, endpoint: ServingEndpoint, candidate: Candidate, on_step: Callable[[str], None]
    ) -> None:
        """Makes the endpoint with the candidate, or gives it the candidate; waits until it serves.

        Args:
            endpoint: the stack's own, whose container and role the candidate gets.
            on_step: called with the endpoint's status, poll after poll.

        Raises:
            UserError: the stack's models are in a VPC, the endpoint is being changed, or the
                candidate does not start.
        """
        config = self._make_config(endpoint, candidate)
        with translate_errors():
            found = self._describe()
            request: dict[str, Any] = {"EndpointName": self.name, "EndpointConfigName": config}
            if found is None:
                self._sagemaker.create_endpoint(**request)
            elif found["EndpointConfigName"] != config:
                self._refuse_in_progress(found)
                self._sagemaker.update_endpoint(**request)
            self._wait(config, on_step)

    def stop(self) -> bool:
        """Deletes the endpoint; returns whether there was one.

        Raises:
            UserError: it is being made or changed.
        """
        with translate_errors():
            found = self._describe()
            if found is None:
                return False
            self._refuse_in_progress(found)
            self._sagemaker.delete_endpoint(EndpointName=self.name)
        return True

    def _refuse_in_progress(self, found: dict[str, Any]) -> None:
        status = found["EndpointStatus"]
        if status in IN_PROGRESS:
            raise UserError(
                f"The endpoint {self.name} is {status}; SageMaker can change it only after that.",
                "No candidate gets images now. Try again in a few minutes.",
            )

    def _make_config(self, endpoint: ServingEndpoint, candidate: Candidate) -> str:
        now = candidate.serving
        if "VpcConfig" in now.model:
            raise UserError(
                "This stack's models are in a VPC, where a serverless endpoint cannot be.",
                "Try the candidate on rows instead: imagedrop bulk start --rows ... --compare",
            )
        # A serverless endpoint supports no network isolation.
        model = endpoint.make_model(now, candidate.model_data_url, ("ExecutionRoleArn",))
        serverless = now.config["ProductionVariants"][0].get("ServerlessConfig", {})
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": model,
            "InitialVariantWeight": 1,
            "ServerlessConfig": {
                "MemorySizeInMB": serverless.get("MemorySizeInMB", MEGABYTES),
                "MaxConcurrency": MAX_CONCURRENCY,
            },
        }
        return endpoint.make_config_with({}, variant)

    def _wait(self, config: str, on_step: Callable[[str], None]) -> None:
        deadline = time.monotonic() + UPDATE_SECONDS
        while time.monotonic() < deadline:
            found = self._describe()
            status = found["EndpointStatus"] if found else "gone"
            on_step(status)
            if found and status == "InService" and found["EndpointConfigName"] == config:
                return
            if found is None or status in ("InService", "Failed", "UpdateRollbackFailed"):
                reason = (found or {}).get("FailureReason", "it gives no reason")
                raise UserError(
                    f"SageMaker could not start the candidate: {reason}",
                    f"The endpoint {self.name} is {status}; no image is shown to it. Delete it "
                    "with: imagedrop shadow --off",
                )
            time.sleep(POLL_SECONDS)
        raise UserError(
            f"The endpoint {self.name} was not in service after {UPDATE_SECONDS} seconds.",
            "No image is shown to it. Delete it with: imagedrop shadow --off",
        )

    def _describe(self) -> dict[str, Any] | None:
        try:
            found: Any = self._sagemaker.describe_endpoint(EndpointName=self.name)
        except ClientError as error:
            # SageMaker has no 404: for a well-formed name this code means that it is missing.
            if error_code(error) != "ValidationException":
                raise
            return None
        return dict(found)
