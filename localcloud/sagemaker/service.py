"""Puts the parts together: one object that owns state, endpoints and jobs."""

from __future__ import annotations

from pathlib import Path

from localcloud.sagemaker.artifacts import Artifacts
from localcloud.sagemaker.control_plane import ControlPlane
from localcloud.sagemaker.endpoints import Endpoints
from localcloud.sagemaker.identity import Identity
from localcloud.sagemaker.model_packages import ModelPackageGroups, ModelPackages
from localcloud.sagemaker.models import EndpointConfigs, Models
from localcloud.sagemaker.registry import Registry
from localcloud.sagemaker.runtime import Runtime
from localcloud.sagemaker.state import State
from localcloud.sagemaker.storage import Storage
from localcloud.sagemaker.tags import Tags
from localcloud.sagemaker.training_events import TrainingEvents
from localcloud.sagemaker.training_jobs import TrainingJobs
from localcloud.sagemaker.training_log import LogService
from localcloud.sagemaker.transform_jobs import TransformJobs
from localcloud.sagemaker.tuning_jobs import TuningJobs
from localcloud.sagemaker.validation import RequestValidator, load_service_model


class Service:
    """SageMaker, as far as this project uses it."""

    def __init__(self, state_dir: Path, aws_endpoint_url: str, identity: Identity) -> None:
        storage = Storage(aws_endpoint_url, identity.region)
        self._state = state = State(state_dir)
        self._artifacts = artifacts = Artifacts(state_dir / "models", storage)
        tags = Tags(state)
        registry = Registry(state, identity, tags)
        models = Models(registry, storage)
        configs = EndpointConfigs(registry, models)
        endpoints = Endpoints(registry, models, configs, artifacts)
        jobs = TransformJobs(registry, models, artifacts, storage)
        groups = ModelPackageGroups(registry)
        packages = ModelPackages(registry, groups, storage)
        logs = LogService(aws_endpoint_url, identity.region)
        events = TrainingEvents(aws_endpoint_url, identity.region)
        trainings = TrainingJobs(registry, storage, logs, events)
        tunings = TuningJobs(registry, trainings)
        self._endpoints, self._jobs = endpoints, jobs
        self._trainings, self._tunings = trainings, tunings
        self.runtime = Runtime(endpoints.running, identity)
        operations = {
            "AddTags": tags.add,
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
            "DeleteTags": tags.delete,
            "DescribeEndpoint": endpoints.describe,
            "DescribeEndpointConfig": configs.describe,
            "DescribeHyperParameterTuningJob": tunings.describe,
            "DescribeModel": models.describe,
            "DescribeModelPackage": packages.describe,
            "DescribeModelPackageGroup": groups.describe,
            "DescribeTrainingJob": trainings.describe,
            "DescribeTransformJob": jobs.describe,
            "ListEndpointConfigs": configs.list_configs,
            "ListEndpoints": endpoints.list_endpoints,
            "ListModelPackageGroups": groups.list_groups,
            "ListModelPackages": packages.list_packages,
            "ListModels": models.list_models,
            "ListTags": tags.list_tags,
            "ListTrainingJobs": trainings.list_jobs,
            "ListTrainingJobsForHyperParameterTuningJob": tunings.list_trials,
            "ListTransformJobs": jobs.list_jobs,
            "StopHyperParameterTuningJob": tunings.stop_job,
            "StopTrainingJob": trainings.stop_job,
            "StopTransformJob": jobs.stop_job,
            "UpdateEndpoint": endpoints.update,
            "UpdateModelPackage": packages.update,
        }
        self.control_plane = ControlPlane(operations, RequestValidator(load_service_model()))

    def start(self) -> None:
        """Within a running event loop: bring back what the state folder remembers."""
        self._artifacts.remove_all_but(self._endpoints.model_dirs())
        self._endpoints.resume()
        self._jobs.resume()
        self._trainings.resume()
        self._tunings.resume()

    async def stop(self) -> None:
        """End every container; what was under way is remembered."""
        await self._tunings.stop()
        await self._trainings.stop()
        await self._jobs.stop()
        await self._endpoints.stop()
        self._state.close()

    def endpoint_exists(self, name: str) -> bool:
        """Whether invoking it is worth another try although nothing of it runs right now."""
        return self._endpoints.serves(name)
