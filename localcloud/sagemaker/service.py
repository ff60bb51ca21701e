"""Builds the stand-in from its parts and dispatches the control plane's operations."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from localcloud.sagemaker.artifacts import Artifacts
from localcloud.sagemaker.endpoints import Endpoints
from localcloud.sagemaker.errors import ServiceError, unknown_operation
from localcloud.sagemaker.model_packages import ModelPackageGroups, ModelPackages
from localcloud.sagemaker.models import EndpointConfigs, Models
from localcloud.sagemaker.quotas import Quotas
from localcloud.sagemaker.runtime import Runtime
from localcloud.sagemaker.state import Identity, Record, State
from localcloud.sagemaker.storage import Storage
from localcloud.sagemaker.training_events import TrainingEvents
from localcloud.sagemaker.training_jobs import TrainingJobs
from localcloud.sagemaker.training_log import LogService
from localcloud.sagemaker.transform_jobs import TransformJobs
from localcloud.sagemaker.tuning_jobs import TuningJobs
from localcloud.sagemaker.validation import RequestValidator, load_service_model

Operation = Callable[[Record], Awaitable[Record]]
TARGET_PREFIX = "SageMaker."


class Service:
    """SageMaker, as far as this project uses it."""

    def __init__(
        self, state_dir: Path, aws_endpoint_url: str, identity: Identity, quotas: Quotas
    ) -> None:
        storage = Storage(aws_endpoint_url)
        self._state = state = State(state_dir, identity)
        self._artifacts = artifacts = Artifacts(state_dir / "models", storage)
        models = Models(state, storage)
        configs = EndpointConfigs(state, models)
        endpoints = Endpoints(state, models, configs, artifacts, quotas)
        jobs = TransformJobs(state, models, artifacts, storage, quotas)
        groups = ModelPackageGroups(state)
        packages = ModelPackages(state, groups, storage)
        logs = LogService(aws_endpoint_url)
        events = TrainingEvents(aws_endpoint_url)
        trainings = TrainingJobs(state, storage, logs, events, quotas)
        tunings = TuningJobs(state, trainings)
        self._endpoints, self._jobs = endpoints, jobs
        self._trainings, self._tunings = trainings, tunings
        self.runtime = Runtime(endpoints, identity)
        self._validator = RequestValidator(load_service_model())
        self._operations: dict[str, Operation] = {
            "CreateEndpoint": endpoints.create,
            "CreateEndpointConfig": configs.create,
            "CreateHyperParameterTuningJob": tunings.create,
            "CreateModel": models.create,
            "CreateModelPackage": packages.create,
            "CreateModelPackageGroup": groups.create,
            "CreateTrainingJob": trainings.create,
            "CreateTransformJob": jobs.create,
            "DeleteEndpoint": endpoints.delete,
            "DeleteEndpointConfig": configs.delete,
            "DeleteModel": models.delete,
            "DescribeEndpoint": endpoints.describe,
            "DescribeEndpointConfig": configs.describe,
            "DescribeHyperParameterTuningJob": tunings.describe,
            "DescribeModel": models.describe,
            "DescribeModelPackage": packages.describe,
            "DescribeModelPackageGroup": groups.describe,
            "DescribeTrainingJob": trainings.describe,
            "DescribeTransformJob": jobs.describe,
            "ListEndpoints": endpoints.list_endpoints,
            "ListHyperParameterTuningJobs": tunings.list_jobs,
            "ListModelPackageGroups": groups.list_groups,
            "ListModelPackages": packages.list_packages,
            "ListTrainingJobs": trainings.list_jobs,
            "ListTrainingJobsForHyperParameterTuningJob": tunings.list_trials,
            "StopHyperParameterTuningJob": tunings.stop_job,
            "StopTrainingJob": trainings.stop_job,
            "StopTransformJob": jobs.stop_job,
            "UpdateEndpoint": endpoints.update,
            "UpdateModelPackage": packages.update,
        }

    async def call(self, target: str, body: bytes) -> bytes:
        """Run one operation of the control plane (JSON 1.1) and return its JSON answer.

        Args:
            target: value of the header ``X-Amz-Target``, ``SageMaker.OPERATION``.
            body: the request.

        Raises:
            ServiceError: the answer is an error.
        """
        operation = target.removeprefix(TARGET_PREFIX)
        if not target.startswith(TARGET_PREFIX) or operation not in self._operations:
            raise unknown_operation(target or "no X-Amz-Target")
        request = _parse(body)
        self._validator.check(operation, request)
        given = {name: value for name, value in request.items() if value is not None}
        return json.dumps(await self._operations[operation](given)).encode()

    def start(self) -> None:
        """Restart the endpoints and jobs of the state folder; needs a running event loop."""
        self._artifacts.remove_all_but(self._endpoints.model_dirs())
        self._endpoints.resume()
        self._jobs.resume()
        self._trainings.resume()
        self._tunings.resume()

    async def stop(self) -> None:
        """Stop every container; unfinished jobs stay InProgress in the state folder."""
        await self._tunings.stop()
        await self._trainings.stop()
        await self._jobs.stop()
        await self._endpoints.stop()
        self._state.close()


def _parse(body: bytes) -> Record:
    try:
        request = json.loads(body or b"{}")
    except ValueError as error:
        raise ServiceError("SerializationException", f"not JSON: {error}") from error
    if not isinstance(request, dict):
        raise ServiceError("SerializationException", "not a JSON object")
    return request
