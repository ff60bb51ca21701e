"""CreateTransformJob, DescribeTransformJob, StopTransformJob."""

from __future__ import annotations

import asyncio
import logging

from localcloud.sagemaker.artifacts import ArtifactError, Artifacts
from localcloud.sagemaker.container import Container, ContainerNotHealthyError
from localcloud.sagemaker.container_client import (
    ContainerAnswerTooLargeError,
    ContainerConnectionError,
)
from localcloud.sagemaker.endpoints import INSTANCE_START_SECONDS
from localcloud.sagemaker.errors import ServiceError, validation_exception
from localcloud.sagemaker.faults import FaultFile
from localcloud.sagemaker.models import Models, model_data_url, model_environment
from localcloud.sagemaker.quotas import Quotas
from localcloud.sagemaker.resources import INTERNAL_ERROR, Jobs
from localcloud.sagemaker.state import Record, State, now
from localcloud.sagemaker.storage import Storage, wait_until_answering
from localcloud.sagemaker.transform_input import InputError
from localcloud.sagemaker.transform_run import Outcome, TransformRun
from localcloud.sagemaker.transform_settings import check_request, resolve

logger = logging.getLogger(__name__)

EXECUTION_PARAMETERS_TIMEOUT_SECONDS = 2.0


class TransformJobs(Jobs):
    """Jobs run as tasks of this process, each with its own container.

    A job that was running when the stand-in ended is run again from its beginning: outputs are
    overwritten with the same content, as they are when SageMaker replaces an instance.
    """

    noun, kind, words = "TransformJob", "transform-job", "transform job"
    hidden = frozenset({"Model", "Faults", "LastModifiedTime"})

    def __init__(
        self,
        state: State,
        models: Models,
        artifacts: Artifacts,
        storage: Storage,
        quotas: Quotas,
    ) -> None:
        super().__init__(state, state.transform_jobs)
        self._quotas = quotas
        self._models, self._artifacts, self._storage = models, artifacts, storage
        self._fault_file = FaultFile(self._state.folder / "faults.json")

    async def create(self, request: Record) -> Record:
        self._require_new(request["TransformJobName"])
        check_request(request)
        model = self._models.get(request["ModelName"])
        self._check_quota(request)
        record = self._add(
            request,
            TransformJobStatus="InProgress",
            LastModifiedTime=now(),
            # The model may be deleted while the job runs.
            Model={"Url": model_data_url(model), "Environment": model_environment(model)},
            Faults=self._fault_file.for_job(request["TransformJobName"]).to_json(),
        )
        self._begin(record)
        return {"TransformJobArn": record["TransformJobArn"]}

    async def stop_job(self, request: Record) -> Record:
        record = self._in_progress(request["TransformJobName"])
        record["TransformJobStatus"] = "Stopping"
        record["LastModifiedTime"] = now()
        self._state.save()
        self._tasks[record["TransformJobName"]].cancel()
        return {}

    def resume(self) -> None:
        """After a restart: run unfinished jobs again, finish those that were being stopped."""
        for record in self._records.values():
            if record["TransformJobStatus"] == "Stopping":
                self._end(record, "Stopped")
            elif record["TransformJobStatus"] == "InProgress":
                self._begin(record, storage_may_be_starting=True)

    def _not_found(self, name: str) -> ServiceError:
        return validation_exception(f"Could not find requested job with name: {name}")

    def _check_quota(self, request: Record) -> None:
        kind = request["TransformResources"]["InstanceType"]
        wanted = request["TransformResources"]["InstanceCount"]
        in_use = sum(
            job["TransformResources"]["InstanceCount"]
            for job in self._records.values()
            if job["TransformJobStatus"] in ("InProgress", "Stopping")
            and job["TransformResources"]["InstanceType"] == kind
        )
        self._quotas.check_instances(kind, "transform job usage", wanted, in_use)

    def _begin(self, record: Record, *, storage_may_be_starting: bool = False) -> None:
        record["TransformStartTime"] = now()
        self._start(record, self._run(record, storage_may_be_starting=storage_may_be_starting))

    async def _run(self, record: Record, *, storage_may_be_starting: bool) -> None:
        if storage_may_be_starting:
            await wait_until_answering(self._storage)
        try:
            outcome = await self._transform(record)
        except (ArtifactError, InputError) as error:
            self._end(record, "Failed", str(error))
        except ContainerNotHealthyError:
            self._end(record, "Failed", _reason("AlgorithmError"))
        else:
            if outcome.first_failure is None:
                self._end(record, "Completed")
            else:
                self._end(record, "Failed", _reason(outcome.first_failure))

    async def _transform(self, record: Record) -> Outcome:
        name, model = record["TransformJobName"], record["Model"]
        folder = await asyncio.to_thread(self._artifacts.fetch, model["Url"])
        logs = self._state.folder / "logs" / "TransformJobs"
        environment = {**model["Environment"], **record.get("Environment", {})}
        environment |= _batch_environment(record)
        container = Container(folder, logs / f"{name}.log", environment)
        try:
            await container.start(INSTANCE_START_SECONDS)
            settings = resolve(record, await _execution_parameters(container))
            log_path = logs / f"{name}-data.log"
            return await TransformRun(record, settings, container, self._storage, log_path).run()
        finally:
            await container.stop()

    def _end(self, record: Record, status: str, reason: str | None = None) -> None:
        record["TransformJobStatus"] = status
        record["TransformEndTime"] = record["LastModifiedTime"] = now()
        if reason is not None:
            record["FailureReason"] = reason
        self._state.save()


def _reason(kind: str) -> str:
    if kind == "InternalServerError":
        return INTERNAL_ERROR
    return f"{kind}: See job logs for more information"


def _batch_environment(record: Record) -> dict[str, str]:
    """The variables that SageMaker sets ("your-algorithms-batch-code")."""
    values = {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": record.get("MaxPayloadInMB"),
        "SAGEMAKER_BATCH_STRATEGY": record.get("BatchStrategy"),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": record.get("MaxConcurrentTransforms"),
    }
    given = {name: str(value) for name, value in values.items() if value is not None}
    return {"SAGEMAKER_BATCH": "true", **given}


async def _execution_parameters(container: Container) -> bytes | None:
    """The container's own settings; None when it has none (the endpoint is optional)."""
    if container.client is None:
        return None
    try:
        answer = await container.client.request(
            "GET /execution-parameters",
            max_answer_bytes=1 << 20,
            timeout_seconds=EXECUTION_PARAMETERS_TIMEOUT_SECONDS,
        )
    except (ContainerConnectionError, ContainerAnswerTooLargeError, TimeoutError) as error:
        logger.warning("no /execution-parameters: %s", error)
        return None
    return answer.body if answer.status == 200 else None
